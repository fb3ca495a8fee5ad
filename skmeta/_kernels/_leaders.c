/* The sums of `_rows.h` for every instruction set, and the choice among them. */
#include "_leaders.h"

#include "_instruction_sets.h"

#define NAMED(name) name##_any
#include "_rows.h"
#undef NAMED

#ifdef SEVERAL_INSTRUCTION_SETS
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
#define NAMED(name) name##_avx2
#include "_rows.h"
#undef NAMED
#pragma GCC pop_options

/* Rows are short: wider vectors than those of AVX2 gain nothing. */
AddRows skmeta_add_rows(void)
{
    return instruction_set() == ANY_PROCESSOR ? add_rows_any : add_rows_avx2;
}

AddOuter skmeta_add_outer(void)
{
    return instruction_set() == ANY_PROCESSOR ? add_outer_any : add_outer_avx2;
}
#else
AddRows skmeta_add_rows(void) { return add_rows_any; }

AddOuter skmeta_add_outer(void) { return add_outer_any; }
#endif
