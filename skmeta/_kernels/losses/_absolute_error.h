/* f(s) = |s| of the residual. */

VALUE_AND_SLOPE(absolute_error)
{
    const REAL one = SPLAT(1.0);
    return (NAMED(Loss)){ABSOLUTE(s), SPLAT(0.0), SELECT(s > SPLAT(0.0), one, -one)};
}

PROXIMAL_SLOPE(absolute_error)
{
    const REAL end = s / q, limit = SPLAT(weight);
    return CLIP(end, -limit, limit);
}
