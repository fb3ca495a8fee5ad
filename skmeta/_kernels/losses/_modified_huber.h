/* f(s) = max(0, 1 - s)**2 of the margin for s >= -1, -4 s below. */

VALUE_AND_SLOPE(modified_huber)
{
    const REAL zero = SPLAT(0.0), one = SPLAT(1.0), below_one = MAXIMUM(one - s, zero);
    const REAL value = SELECT(s < -one, -4.0 * s, below_one * below_one);
    return (NAMED(Loss)){value, zero, SELECT(s < -one, -4.0 * one, -2.0 * below_one)};
}

CURVATURE(modified_huber)
{
    const REAL zero = SPLAT(0.0), one = SPLAT(1.0);
    return SELECT(s < -one, zero, SELECT(s < one, 2.0 * one, zero));
}

PROXIMAL_SLOPE(modified_huber)
{
    const REAL below_one = MAXIMUM(SPLAT(1.0) - s, SPLAT(0.0));
    const REAL end = 2.0 * weight / (1.0 + 2.0 * weight * q) * below_one;
    return -MINIMUM(end, SPLAT(4.0 * weight));
}
