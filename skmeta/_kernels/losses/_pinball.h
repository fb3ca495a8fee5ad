/* f(s) = -p s of a residual up to zero, (1 - p) s above. */

VALUE_AND_SLOPE(pinball)
{
    const REAL low = SPLAT(-p), high = SPLAT(1.0) - SPLAT(p);
    const REAL slope = SELECT(s > SPLAT(0.0), high, low);
    return (NAMED(Loss)){slope * s, SPLAT(0.0), slope};
}

PROXIMAL_SLOPE(pinball)
{
    const REAL end = s / q, low = SPLAT(-p * weight), high = SPLAT((1.0 - p) * weight);
    return CLIP(end, low, high);
}
