/* Sums of rows. Included once for each instruction set, which defines NAMED. */

/* out[:width] += coefs[:n] @ rows, which are `stride` apart. */
static void NAMED(add_rows)(
    double *__restrict out, const double *__restrict coefs,
    const double *__restrict rows, ptrdiff_t n, ptrdiff_t width, ptrdiff_t stride)
{
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const double *__restrict a = rows + i * stride;
        const double *__restrict b = a + stride;
        const double *__restrict c = b + stride;
        const double *__restrict d = c + stride;
        const double u = coefs[i], v = coefs[i + 1], w = coefs[i + 2], x = coefs[i + 3];
        for (ptrdiff_t j = 0; j < width; j++)
            out[j] += (u * a[j] + v * b[j]) + (w * c[j] + x * d[j]);
    }
    for (; i < n; i++) {
        const double *__restrict a = rows + i * stride;
        const double u = coefs[i];
        for (ptrdiff_t j = 0; j < width; j++) out[j] += u * a[j];
    }
}

/* C += s t' - u v', n x n, its rows `stride` apart. */
static void NAMED(add_outer)(
    double *__restrict C, const double *__restrict s, const double *__restrict t,
    const double *__restrict u, const double *__restrict v, ptrdiff_t n,
    ptrdiff_t stride)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        double *__restrict row = C + i * stride;
        const double a = s[i], b = u[i];
        for (ptrdiff_t j = 0; j < n; j++) row[j] += a * t[j] - b * v[j];
    }
}
