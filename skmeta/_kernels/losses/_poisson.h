/* exp(s) - y s + y log(y) - y of the score: half the Poisson deviance of the count y. */

VALUE_AND_SLOPE(poisson)
{
    const double z = FIRST(s), mean = exp(z), log_y = log(y), r = z - log_y;
    double value = mean - y * z + (y > 0.0 ? y * log_y : 0.0) - y;
    if (fabs(r) < 1.0) value = y * (expm1(r) - r); /* which does not cancel */
    if (!(y >= 0.0)) value = NAN;
    return (NAMED(Loss)){SPLAT(value), SPLAT(0.0), SPLAT(mean - y)};
}

CURVATURE(poisson) { return SPLAT(exp(FIRST(s))); }

/* The end t of the step solves t + c exp(t) = s + c y. So v = c exp(t) solves
 * v + log(v) = x. Newton's method converges from any v below the root, and after one
 * step from elsewhere it is there. */
PROXIMAL_SLOPE(poisson)
{
    const double c = q * weight, x = log(c) + FIRST(s) + c * y;
    double v = x > 1.0 ? x - log(x) : exp(x);
    for (int n = 0; n < 50 && v > 0.0; n++) {
        const double step = v * (x - v - log(v)) / (1.0 + v);
        v += step;
        if (!(fabs(step) > 1e-9 * v)) break; /* it converges quadratically */
    }
    /* two forms of the slope at the end, of which one cancels less */
    const double t = log(v / c), size = fabs(FIRST(s)) > fabs(t) ? FIRST(s) : t;
    if (fabs(size) < (v > c * y ? v : c * y)) return SPLAT((FIRST(s) - t) / q);
    return SPLAT(weight * (v / c - y));
}
