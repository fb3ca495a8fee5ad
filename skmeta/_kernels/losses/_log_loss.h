/* f(s) = log(1 + exp(-s)) of the margin. */

VALUE_AND_SLOPE(log_loss)
{
    const REAL zero = SPLAT(0.0), rest = EXP(-ABSOLUTE(s));
    const REAL slope = -SELECT(s < zero, SPLAT(1.0), rest) / (1.0 + rest);
    return (NAMED(Loss)){MAXIMUM(-s, zero), rest, slope};
}

CURVATURE(log_loss)
{
    const REAL rest = EXP(-ABSOLUTE(s));
    return rest / ((1.0 + rest) * (1.0 + rest));
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

PROXIMAL_SLOPE(log_loss)
{
    return -weight * NAMED(log_loss_root)(s, q * weight, -slope);
}
