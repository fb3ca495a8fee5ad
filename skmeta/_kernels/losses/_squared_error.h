/* f(s) = s**2 / 2 of the residual. */

VALUE_AND_SLOPE(squared_error)
{
    return (NAMED(Loss)){0.5 * s * s, SPLAT(0.0), s};
}

CURVATURE(squared_error) { return SPLAT(1.0); }

PROXIMAL_SLOPE(squared_error) { return weight / (1.0 + weight * q) * s; }
