/* f(s) = -p s of a residual up to zero, (1 - p) s above. */

VALUE_AND_SLOPE(pinball)
{
    const REAL zero = SPLAT(0.0), high = SPLAT(1.0) - SPLAT(p);
    const REAL below = SELECT(s < zero, SPLAT(-p), zero);
    const REAL slope = SELECT(s > zero, high, below);
    return (NAMED(Loss)){slope * s, zero, slope};
}

CURVATURE(pinball) { return SPLAT(0.0); }

PROXIMAL_SLOPE(pinball)
{
    const REAL end = s / q, low = SPLAT(-p * weight), high = SPLAT((1.0 - p) * weight);
    return CLIP(end, low, high);
}
