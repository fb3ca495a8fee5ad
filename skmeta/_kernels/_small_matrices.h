/* Vectors, symmetric matrices (upper triangles) and the factors U of H = U'U.
 *
 * Inner loops run along the columns of one row, so that strict IEEE sums vectorise.
 */

static inline double dot(const double *x, const double *y, ptrdiff_t n)
{
    double sums[4] = {0.0, 0.0, 0.0, 0.0};
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            sums[j] += x[i + j] * y[i + j];
    for (; i < n; i++)
        sums[0] += x[i] * y[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static inline void
add(double *restrict out, double by, const double *restrict x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] += by * x[i];
}

/* H + sum coef_i w_i w_i', four rows at a time. */
static void add_products(double *restrict H, const double *coef, const double *W,
                         ptrdiff_t n, ptrdiff_t r)
{
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const double *restrict a = W + i * r, *restrict b = a + r;
        const double *restrict c = b + r, *restrict d = c + r;
        for (ptrdiff_t j = 0; j < r; j++) {
            const double x = coef[i] * a[j], y = coef[i + 1] * b[j];
            const double z = coef[i + 2] * c[j], u = coef[i + 3] * d[j];
            double *restrict out = H + j * r;
            for (ptrdiff_t l = j; l < r; l++)
                out[l] += (x * a[l] + y * b[l]) + (z * c[l] + u * d[l]);
        }
    }
    for (; i < n; i++)
        for (ptrdiff_t j = 0; j < r; j++)
            add(H + j * r + j, coef[i] * W[i * r + j], W + i * r + j, r - j);
}

/* H <- U, and return log det U. Diagonals of I + ... cannot fail: at least one. */
static double cholesky(double *H, ptrdiff_t n)
{
    double log_det = 0.0;
    for (ptrdiff_t j = 0; j < n; j++) {
        double *restrict pivot = H + j * n;
        const double size = sqrt(pivot[j] > 1.0 ? pivot[j] : 1.0);
        log_det += log(size);
        for (ptrdiff_t l = j; l < n; l++)
            pivot[l] /= size;
        pivot[j] = size;
        for (ptrdiff_t i = j + 1; i < n; i++)
            add(H + i * n + i, -pivot[i], pivot + i, n - i);
    }
    return log_det;
}

/* V <- inv(U), upper as U. */
static void invert(double *V, const double *U, ptrdiff_t n)
{
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        double *restrict out = V + i * n;
        const double pivot = 1.0 / U[i * n + i];
        memset(out, 0, n * sizeof(double));
        for (ptrdiff_t k = i + 1; k < n; k++)
            add(out + k, -pivot * U[i * n + k], V + k * n + k, n - k);
        out[i] = pivot;
    }
}

/* out <- V'x */
static void turn(double *restrict out, const double *V, const double *x, ptrdiff_t n)
{
    memset(out, 0, n * sizeof(double));
    for (ptrdiff_t i = 0; i < n; i++)
        add(out + i, x[i], V + i * n + i, n - i);
}

/* x <- inv(U'U) x */
static void solve_factored(const double *V, double *x, double *spare, ptrdiff_t n)
{
    turn(spare, V, x, n);
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = dot(V + i * n + i, spare + i, n - i);
}

/* Householder: the triangle of [T; D], both of n columns; D is overwritten. */
static void triangulate(double *T, double *D, ptrdiff_t n_rows, ptrdiff_t n, double *v)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        double sum = 0.0, *top = T + j * n;
        for (ptrdiff_t i = 0; i < n_rows; i++)
            sum += D[i * n + j] * D[i * n + j];
        if (sum == 0.0)
            continue;
        const double size = sqrt(top[j] * top[j] + sum);
        const double end = top[j] > 0.0 ? -size : size, lead = top[j] - end;
        const double tau = -lead / end;
        const ptrdiff_t rest = n - j - 1;
        memcpy(v, top + j + 1, rest * sizeof(double));
        for (ptrdiff_t i = 0; i < n_rows; i++) {
            D[i * n + j] /= lead;
            add(v, D[i * n + j], D + i * n + j + 1, rest);
        }
        for (ptrdiff_t l = 0; l < rest; l++)
            v[l] *= tau;
        top[j] = end;
        add(top + j + 1, -1.0, v, rest);
        for (ptrdiff_t i = 0; i < n_rows; i++)
            add(D + i * n + j + 1, -D[i * n + j], v, rest);
    }
}
