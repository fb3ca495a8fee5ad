/* The loops for any processor, and the choice among the instruction sets. */
#define KERNEL skmeta_logistic_any
#include "_logistic_tasks.h"

#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
extern const LogisticKernel skmeta_logistic_avx2;

const LogisticKernel *skmeta_logistic_kernel(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &skmeta_logistic_avx2;
    return &skmeta_logistic_any;
}
#else
const LogisticKernel *skmeta_logistic_kernel(void) { return &skmeta_logistic_any; }
#endif
