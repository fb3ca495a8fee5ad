/* Every loss, written once for a number of type REAL: a double, or a vector of them.
 *
 * The includer defines, for its REAL, the operations NAMED, SPLAT, SELECT, ABSOLUTE,
 * EXP, LARGEST and LOWER_BOUND. `loss` is a constant wherever speed matters.
 */

#define MINIMUM(a, b) SELECT((a) < (b), a, b)
#define MAXIMUM(a, b) SELECT((a) > (b), a, b)
#define CLIP(s, low, high) SELECT((s) < (low), low, SELECT((s) > (high), high, s))

/* f(s) = value + log1p(rest), so that the logarithms of many samples can be taken
 * together: log1p(a) + log1p(b) = log1p(a + b + a b), exact to rounding. */
typedef struct {
    REAL value, rest, slope;
} NAMED(Loss);

INLINE NAMED(Loss) NAMED(loss_at)(const int loss, double parameter, REAL s)
{
    const REAL zero = SPLAT(0.0), one = SPLAT(1.0), p = SPLAT(parameter);
    const REAL size = ABSOLUTE(s), below_one = MAXIMUM(one - s, zero);
    NAMED(Loss) at = {zero, zero, zero};
    switch (loss) {
    case SQUARED_ERROR:
        at.value = 0.5 * s * s;
        at.slope = s;
        break;
    case HUBER:
        at.value = SELECT(size <= p, 0.5 * s * s, p * (size - 0.5 * p));
        at.slope = CLIP(s, -p, p);
        break;
    case ABSOLUTE_ERROR:
        at.value = size;
        at.slope = SELECT(s > zero, one, -one);
        break;
    case EPSILON_INSENSITIVE:
        at.value = MAXIMUM(size - p, zero);
        at.slope = SELECT(s > p, one, SELECT(s < -p, -one, zero));
        break;
    case PINBALL:
        at.slope = SELECT(s > zero, one - p, -p);
        at.value = at.slope * s;
        break;
    case LOG_LOSS:
        at.value = MAXIMUM(-s, zero);
        at.rest = EXP(-size);
        at.slope = -SELECT(s < zero, one, at.rest) / (1.0 + at.rest);
        break;
    case HINGE:
        at.value = below_one;
        at.slope = SELECT(s <= one, -one, zero);
        break;
    case SQUARED_HINGE:
        at.value = below_one * below_one;
        at.slope = -2.0 * below_one;
        break;
    case MODIFIED_HUBER:
        at.value = SELECT(s < -one, -4.0 * s, below_one * below_one);
        at.slope = SELECT(s < -one, -4.0 * one, -2.0 * below_one);
        break;
    }
    return at;
}

INLINE REAL NAMED(sigmoid)(REAL t)
{
    REAL e = EXP(-ABSOLUTE(t));
    return SELECT(t < SPLAT(0.0), e, SPLAT(1.0)) / (1.0 + e);
}

/* The root v = sigma(-t) of t = s + c v, given v at t = s. Newton's method, its steps
 * corrected to fourth order where they are short. */
INLINE REAL NAMED(log_loss_root)(REAL s, double c, REAL v)
{
    const REAL zero = SPLAT(0.0);
    REAL t = s;
    if (c > 2.0) {
        /* Up to here the slope of t - c sigma(-t) varies too little to go astray.
         * Beyond, the method converges from zero, an inflection, or from where the
         * bracket [s, s + c] is nearest to it; a lower bound shortens long ways. */
        t = SELECT(s < zero, MINIMUM(s + c, zero), s);
        t = MAXIMUM(t, LOWER_BOUND(s, c));
        v = NAMED(sigmoid)(-t);
    }
    for (int n = 0; n < 100; n++) {
        REAL p = v * (1.0 - v), h = 1.0 / (1.0 + c * p), first = (s - t + c * v) * h;
        REAL b = -0.5 * c * p * (1.0 - 2.0 * v) * h;
        REAL d = c * p * (1.0 - 6.0 * p) * h * (1.0 / 6.0);
        REAL more = first * first * (first * (2.0 * b * b - d) - b);
        REAL step = first + SELECT(ABSOLUTE(first) < SPLAT(0.5), more, zero);
        if (!(LARGEST(ABSOLUTE(step)) > 1e-4)) {
            /* three terms of Taylor's series are exact to rounding */
            REAL third = 0.5 * (1.0 - 2.0 * v) - step * (1.0 - 6.0 * p) * (1.0 / 6.0);
            return v - p * step * (1.0 - step * third);
        }
        t = t + step;
        v = NAMED(sigmoid)(-t);
    }
    return v;
}

/* The slope at the end of a proximal step of curvature q > 0, weight included; `slope`
 * is the one at its start, without. */
INLINE REAL NAMED(proximal_slope)(
    const int loss, double parameter, REAL s, double q, double weight, REAL slope)
{
    const REAL zero = SPLAT(0.0), one = SPLAT(1.0), w = SPLAT(weight);
    const REAL p = SPLAT(parameter);
    const REAL steep = 2.0 * weight / (1.0 + 2.0 * weight * q) * MAXIMUM(one - s, zero);
    REAL end = zero;
    switch (loss) {
    case SQUARED_ERROR:
        end = weight / (1.0 + weight * q) * s;
        break;
    case HUBER:
        end = weight / (1.0 + weight * q) * s;
        end = CLIP(end, -w * p, w * p);
        break;
    case ABSOLUTE_ERROR:
        end = s / q;
        end = CLIP(end, -w, w);
        break;
    case EPSILON_INSENSITIVE:
        end = (s - CLIP(s, -p, p)) / q;
        end = CLIP(end, -w, w);
        break;
    case PINBALL:
        end = s / q;
        end = CLIP(end, -p * w, (1.0 - p) * w);
        break;
    case LOG_LOSS:
        end = -weight * NAMED(log_loss_root)(s, q * weight, -slope);
        break;
    case HINGE:
        end = (one - s) / q;
        end = -CLIP(end, zero, w);
        break;
    case SQUARED_HINGE:
        end = -steep;
        break;
    case MODIFIED_HUBER:
        end = -MINIMUM(steep, 4.0 * w);
        break;
    }
    return end;
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
#undef LOWER_BOUND
