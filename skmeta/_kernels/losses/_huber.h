/* s**2 / 2 of the residual up to |s| = p, linear beyond. */

VALUE_AND_SLOPE(huber)
{
    const REAL limit = SPLAT(p), size = ABSOLUTE(s);
    const REAL value = SELECT(size <= limit, 0.5 * s * s, limit * (size - 0.5 * limit));
    return (NAMED(Loss)){value, SPLAT(0.0), CLIP(s, -limit, limit)};
}

CURVATURE(huber) { return SELECT(ABSOLUTE(s) <= SPLAT(p), SPLAT(1.0), SPLAT(0.0)); }

PROXIMAL_SLOPE(huber)
{
    const REAL limit = SPLAT(weight) * SPLAT(p);
    const REAL end = weight / (1.0 + weight * q) * s;
    return CLIP(end, -limit, limit);
}
