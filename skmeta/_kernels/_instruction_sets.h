/* The one choice among instruction sets.
 *
 * A wheel is built for any processor. Code that gains from wider vectors is compiled
 * once for each set, under `#pragma GCC target`, and chosen when it runs. Not by the
 * attribute `target_clones`, which needs a C library with indirect functions. */
#ifndef SKMETA_INSTRUCTION_SETS_H
#define SKMETA_INSTRUCTION_SETS_H

enum InstructionSet { ANY_PROCESSOR, AVX2, AVX512 };

#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
#define SEVERAL_INSTRUCTION_SETS

static inline enum InstructionSet instruction_set(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AVX2;
    return ANY_PROCESSOR;
}
#endif

#endif
