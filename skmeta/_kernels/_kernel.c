/* The loops for any processor, and the choice among the instruction sets. */
#define KERNEL skmeta_kernel_any
#include "_tasks.h"

#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
extern const Kernel skmeta_kernel_avx2, skmeta_kernel_avx512;

const Kernel *skmeta_kernel(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return &skmeta_kernel_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &skmeta_kernel_avx2;
    return &skmeta_kernel_any;
}
#else
const Kernel *skmeta_kernel(void) { return &skmeta_kernel_any; }
#endif
