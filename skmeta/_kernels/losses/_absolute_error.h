/* f(s) = |s| of the residual. */

VALUE_AND_SLOPE(absolute_error)
{
    const REAL zero = SPLAT(0.0), one = SPLAT(1.0);
    const REAL below = SELECT(s < zero, -one, zero);
    return (NAMED(Loss)){ABSOLUTE(s), zero, SELECT(s > zero, one, below)};
}

CURVATURE(absolute_error) { return SPLAT(0.0); }

PROXIMAL_SLOPE(absolute_error)
{
    const REAL end = s / q, limit = SPLAT(weight);
    return CLIP(end, -limit, limit);
}
