/* f(s) = max(0, 1 - s)**2 of the margin. */

VALUE_AND_SLOPE(squared_hinge)
{
    const REAL zero = SPLAT(0.0), below_one = MAXIMUM(SPLAT(1.0) - s, zero);
    return (NAMED(Loss)){below_one * below_one, zero, -2.0 * below_one};
}

CURVATURE(squared_hinge) { return SELECT(s < SPLAT(1.0), SPLAT(2.0), SPLAT(0.0)); }

PROXIMAL_SLOPE(squared_hinge)
{
    const REAL below_one = MAXIMUM(SPLAT(1.0) - s, SPLAT(0.0));
    return -(2.0 * weight / (1.0 + 2.0 * weight * q) * below_one);
}
