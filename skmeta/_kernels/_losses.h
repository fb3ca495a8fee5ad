/* Every loss, written once for a number of type REAL: a double, or a vector of them.
 *
 * The includer defines, for its REAL, the operations NAMED, SPLAT, SELECT, ABSOLUTE,
 * EXP (of numbers up to zero), LARGEST, FIRST and LOWER_BOUND.
 *
 * The header of a loss f of one number s, its residual, margin or score, defines three
 * functions under the heads below, with `p` the parameter of the loss. A loss OF_SCORE
 * depends on the target `y` too, and all entries of its vectors are equal.
 *
 * VALUE_AND_SLOPE(name) returns {value, rest, slope}: f(s) = value + log1p(rest), and
 *     f'(s). The rest is in [0, 1], and zero for a loss of NO_REST. So the logarithms of
 *     many samples are taken together: log1p(a) + log1p(b) = log1p(a + b + a b).
 * CURVATURE(name) returns f''(s), away from kinks.
 * PROXIMAL_SLOPE(name) returns the v that solves v = weight * f'(s - q * v), the slope
 *     at the end of a proximal step of length q > 0; `slope` is f'(s).
 */

#define MINIMUM(a, b) SELECT((a) < (b), a, b)
#define MAXIMUM(a, b) SELECT((a) > (b), a, b)
#define CLIP(s, low, high) SELECT((s) < (low), low, SELECT((s) > (high), high, s))

typedef struct {
    REAL value, rest, slope;
} NAMED(Loss);

#define VALUE_AND_SLOPE(name) \
    INLINE NAMED(Loss) NAMED(name)(double p UNUSED, double y UNUSED, REAL s)
#define CURVATURE(name) \
    INLINE REAL NAMED(name##_curvature)(double p UNUSED, double y UNUSED, REAL s UNUSED)
#define PROXIMAL_SLOPE(name)                                                     \
    INLINE REAL NAMED(name##_proximal)(                                          \
        double p UNUSED, double y UNUSED, REAL s, double q, double weight,       \
        REAL slope UNUSED)

#include "_loss_list.h"

#undef VALUE_AND_SLOPE
#undef CURVATURE
#undef PROXIMAL_SLOPE

/* ---- the loss of a code, which is a constant wherever speed matters */

INLINE NAMED(Loss) NAMED(loss_at)(
    const enum LossCode loss, double p, double y, REAL s)
{
#define CASE(name, of, rest) \
    case LOSS_##name:        \
        return NAMED(name)(p, y, s);
    switch (loss) {
        EACH_LOSS(CASE)
    }
#undef CASE
    return (NAMED(Loss)){SPLAT(NAN), SPLAT(NAN), SPLAT(NAN)}; /* no such code */
}

INLINE REAL NAMED(curvature)(const enum LossCode loss, double p, double y, REAL s)
{
#define CASE(name, of, rest) \
    case LOSS_##name:        \
        return NAMED(name##_curvature)(p, y, s);
    switch (loss) {
        EACH_LOSS(CASE)
    }
#undef CASE
    return SPLAT(NAN);
}

INLINE REAL NAMED(proximal_slope)(
    const enum LossCode loss, double p, double y, REAL s, double q, double weight,
    REAL slope)
{
#define CASE(name, of, rest) \
    case LOSS_##name:        \
        return NAMED(name##_proximal)(p, y, s, q, weight, slope);
    switch (loss) {
        EACH_LOSS(CASE)
    }
#undef CASE
    return SPLAT(NAN);
}

#undef MINIMUM
#undef MAXIMUM
#undef CLIP
#undef REAL
#undef NAMED
#undef SPLAT
#undef SELECT
#undef ABSOLUTE
#undef EXP
#undef LARGEST
#undef FIRST
#undef LOWER_BOUND
