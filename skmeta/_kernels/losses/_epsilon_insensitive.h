/* f(s) = max(0, |s| - p) of the residual. */

VALUE_AND_SLOPE(epsilon_insensitive)
{
    const REAL zero = SPLAT(0.0), one = SPLAT(1.0), width = SPLAT(p);
    const REAL value = MAXIMUM(ABSOLUTE(s) - width, zero);
    const REAL below = SELECT(s < -width, -one, zero);
    return (NAMED(Loss)){value, zero, SELECT(s > width, one, below)};
}

CURVATURE(epsilon_insensitive) { return SPLAT(0.0); }

PROXIMAL_SLOPE(epsilon_insensitive)
{
    const REAL width = SPLAT(p), limit = SPLAT(weight);
    const REAL end = (s - CLIP(s, -width, width)) / q;
    return CLIP(end, -limit, limit);
}
