/* The loops for any processor, and the choice among the instruction sets. */
#define KERNEL skmeta_kernel_any
#include "_instruction_sets.h"
#include "_tasks.h"

#define NAME(name, of, rest) #name,
const char *const skmeta_loss_names[] = {EACH_LOSS(NAME) NULL};
#undef NAME

#ifdef SEVERAL_INSTRUCTION_SETS
extern const Kernel skmeta_kernel_avx2, skmeta_kernel_avx512;

const Kernel *skmeta_kernel(void)
{
    switch (instruction_set()) {
    case AVX512:
        return &skmeta_kernel_avx512;
    case AVX2:
        return &skmeta_kernel_avx2;
    case ANY_PROCESSOR:
        break;
    }
    return &skmeta_kernel_any;
}
#else
const Kernel *skmeta_kernel(void) { return &skmeta_kernel_any; }
#endif
