/* The losses of one number and, in GNU C, of four. */

#if defined __GNUC__
#define UNUSED __attribute__((unused))
#else
#define UNUSED
#endif

INLINE enum LossArgument argument_of(const enum LossCode loss)
{
#define CASE(name, of, rest) \
    case LOSS_##name:        \
        return of;
    switch (loss) {
        EACH_LOSS(CASE)
    }
#undef CASE
    return OF_RESIDUAL;
}

INLINE int is_margin(const enum LossCode loss)
{
    return argument_of(loss) == OF_MARGIN;
}

INLINE int is_residual(const enum LossCode loss)
{
    return argument_of(loss) == OF_RESIDUAL;
}

/* Whether the value of a loss has a part log1p(rest). */
INLINE int has_rest(const enum LossCode loss)
{
#define CASE(name, of, rest) \
    case LOSS_##name:        \
        return rest == WITH_REST;
    switch (loss) {
        EACH_LOSS(CASE)
    }
#undef CASE
    return 0;
}

static double lower_bound(double s, double c)
{
    return log(c / (2.0 * (log1p(c) + fabs(s) + 1.0)));
}

#define REAL double
#define NAMED(name) name##_double
#define SPLAT(value) (value)
#define SELECT(where, yes, no) ((where) ? (yes) : (no))
#define ABSOLUTE fabs
#define EXP exp
#define LARGEST(value) (value)
#define FIRST(value) (value)
#define LOWER_BOUND lower_bound
#include "_losses.h"

#ifdef BLOCKS
INLINE quad lower_bound_quad(quad s, double c)
{
    quad bound;
    for (int k = 0; k < 4; k++) bound[k] = lower_bound(s[k], c);
    return bound;
}

#define REAL quad
#define NAMED(name) name##_quad
#define SPLAT splat
#define SELECT choose
#define ABSOLUTE absolute
#define EXP exp_quad
#define LARGEST largest
#define FIRST(value) ((value)[0])
#define LOWER_BOUND lower_bound_quad
#include "_losses.h"
#endif
