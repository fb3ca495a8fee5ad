/* f(s) = max(0, 1 - s) of the margin. */

VALUE_AND_SLOPE(hinge)
{
    const REAL zero = SPLAT(0.0), one = SPLAT(1.0);
    return (NAMED(Loss)){MAXIMUM(one - s, zero), zero, SELECT(s < one, -one, zero)};
}

CURVATURE(hinge) { return SPLAT(0.0); }

PROXIMAL_SLOPE(hinge)
{
    const REAL end = (SPLAT(1.0) - s) / q, limit = SPLAT(weight);
    return -CLIP(end, SPLAT(0.0), limit);
}
