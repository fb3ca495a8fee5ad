/* Factors of rows by Householder reflections.
 *
 * A triangle of n = p + 1 columns is made from the last column of features to the
 * first: its row c has the columns up to c and the target, the last row the target
 * alone. Rows are absorbed into a triangle in place, in blocks that stay in the cache.
 */

enum {
    WIDEST_LANES = 24,   /* more coefficients: one task at a time */
    CACHED_VECTORS = 450 /* of a block of rows in lanes */
};

/* The square of a column that counts as zero: its inverse would overflow. */
#define LEAST_SQUARE 1e-305

/* ---- LANES tasks at a time: row i of A at i * n, as in `_mixed_py`, target last */

/* Reflect the nj columns at `j` of row c of R and of the rows of A. */
INLINE void reflect(const int nj, ptrdiff_t n, ptrdiff_t m, vec *A, vec *R,
                    ptrdiff_t c, vec v0, vec tau)
{
    vec w[4] = {{0}};
#pragma GCC unroll 4
    for (int j = 0; j < nj; j++)
        w[j] = v0 * R[j];
    const vec *v = A + c;
    for (ptrdiff_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nj; j++)
            w[j] += v[i * n] * A[i * n + j];
#pragma GCC unroll 4
    for (int j = 0; j < nj; j++) {
        w[j] *= tau;
        R[j] -= w[j] * v0;
    }
    for (ptrdiff_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nj; j++)
            A[i * n + j] -= w[j] * v[i * n];
}

INLINE vec column_square(ptrdiff_t n, ptrdiff_t m, const vec *a)
{
    vec s[4] = {{0}};
    ptrdiff_t i = 0;
    for (; i + 4 <= m; i += 4)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            s[j] += a[(i + j) * n] * a[(i + j) * n];
    for (; i < m; i++)
        s[0] += a[i * n] * a[i * n];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Absorb m rows A into the triangle R, both n wide; A is destroyed. In a triangle A
 * the entries of column c begin in row c. */
INLINE void absorb(ptrdiff_t n, ptrdiff_t m, vec *A, vec *R, int triangle)
{
    for (ptrdiff_t c = n - 2; c >= 0; c--) {
        const ptrdiff_t begin = triangle ? c : 0;
        vec *a = A + begin * n, *r = R + c * n;
        const ptrdiff_t rows = m - begin;
        vec x = r[c], norm = square_root(x * x + column_square(n, rows, a + c));
        vec signed_norm = choose(x < splat(0.0), -norm, norm);
        vec v0 = x + signed_norm, scale = v0 * signed_norm;
        vec tau = 1.0 / choose(scale < splat(LEAST_SQUARE), splat(1.0), scale);
        r[c] = -signed_norm;
        ptrdiff_t j = 0;
        for (; j + 4 <= c; j += 4)
            reflect(4, n, rows, a + j, r + j, c - j, v0, tau);
        switch (c - j) {
        case 3: reflect(3, n, rows, a + j, r + j, c - j, v0, tau); break;
        case 2: reflect(2, n, rows, a + j, r + j, c - j, v0, tau); break;
        case 1: reflect(1, n, rows, a + j, r + j, c - j, v0, tau); break;
        }
        reflect(1, n, rows, a + n - 1, r + n - 1, c - n + 1, v0, tau);
    }
    vec *last = R + n * n - 1;
    *last = square_root(*last * *last + column_square(n, m, A + n - 1));
}

/* ---- one task: vectors along the columns, target first, Q numbers in a row */

/* Reflect nv vectors of columns. */
INLINE void reflect_row(const int nv, ptrdiff_t Q, ptrdiff_t m, double *A, double *R,
                        const double *v, double v0, double tau)
{
    vec w[4];
#pragma GCC unroll 4
    for (int j = 0; j < nv; j++)
        w[j] = v0 * ((vec *)R)[j];
    for (ptrdiff_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++)
            w[j] += v[i] * ((vec *)(A + i * Q))[j];
#pragma GCC unroll 4
    for (int j = 0; j < nv; j++) {
        w[j] *= tau;
        ((vec *)R)[j] -= w[j] * v0;
    }
    for (ptrdiff_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++)
            ((vec *)(A + i * Q))[j] -= w[j] * v[i];
}

INLINE double save_column(ptrdiff_t Q, ptrdiff_t m, const double *a, double *v)
{
    double s[4] = {0};
    ptrdiff_t i = 0;
    for (; i + 4 <= m; i += 4)
        for (int j = 0; j < 4; j++) {
            v[i + j] = a[(i + j) * Q];
            s[j] += v[i + j] * v[i + j];
        }
    for (; i < m; i++) {
        v[i] = a[i * Q];
        s[0] += v[i] * v[i];
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Absorb m rows A into R; entries to the right of the diagonal of R are meaningless.
 * In a triangle A the entries of column c begin in row c - 1. */
static void absorb_rows(ptrdiff_t n, ptrdiff_t Q, ptrdiff_t m, double *A, double *R,
                        double *v, int triangle)
{
    for (ptrdiff_t c = n - 1; c > 0; c--) {
        const ptrdiff_t begin = triangle ? c - 1 : 0, rows = m - begin;
        double *a = A + begin * Q, *r = R + c * Q;
        const double square = r[c] * r[c] + save_column(Q, rows, a + c, v);
        if (square < LEAST_SQUARE)
            continue;
        const double norm = r[c] < 0.0 ? -sqrt(square) : sqrt(square);
        const double v0 = r[c] + norm, tau = 1.0 / (v0 * norm);
        ptrdiff_t j = 0;
        for (; j + 3 * LANES < c; j += 4 * LANES)
            reflect_row(4, Q, rows, a + j, r + j, v, v0, tau);
        switch ((c - j + LANES - 1) / LANES) {
        case 3: reflect_row(3, Q, rows, a + j, r + j, v, v0, tau); break;
        case 2: reflect_row(2, Q, rows, a + j, r + j, v, v0, tau); break;
        case 1: reflect_row(1, Q, rows, a + j, r + j, v, v0, tau); break;
        }
        r[c] = -norm;
    }
    R[0] = sqrt(R[0] * R[0] + save_column(Q, m, A, v));
}

INLINE ptrdiff_t row_width(ptrdiff_t n) { return (n + 31) / 32 * 32; }

/* Rows of one task at a time: a triangle, a block of rows and room for a column. */
typedef struct {
    ptrdiff_t n, Q, block;
    double *A, *R, *v;
} Folding;

static int open_folding(Folding *now, ptrdiff_t n)
{
    now->n = n;
    now->Q = row_width(n);
    now->block = most(32, n);
    ptrdiff_t numbers = (now->block + n) * now->Q + now->block;
    now->A = (double *)new_vectors(vectors_for(numbers));
    if (!now->A)
        return -1;
    now->R = now->A + now->block * now->Q;
    now->v = now->R + n * now->Q;
    memset(now->A, 0, sizeof(double) * (size_t)numbers);
    return 0;
}

static void clear_triangle(Folding *now)
{
    memset(now->R, 0, sizeof(double) * (size_t)(now->n * now->Q));
}

/* A row of a factor, times `root`. */
INLINE void place_row(const double *row, ptrdiff_t n, double root, double *to)
{
    to[0] = row[n - 1] * root;
    for (ptrdiff_t j = 0; j + 1 < n; j++)
        to[j + 1] = row[j] * root;
}

/* The triangle as a factor of n rows. */
static void write_triangle(const Folding *now, double *factor)
{
    const ptrdiff_t n = now->n, p = n - 1;
    for (ptrdiff_t i = 0; i < n; i++) {
        const double *r = now->R + (i < p ? i + 1 : 0) * now->Q;
        for (ptrdiff_t j = 0; j < p; j++)
            factor[i * n + j] = i < p && j <= i ? r[j + 1] : 0.0;
        factor[i * n + p] = r[0];
    }
}

static void read_triangle(Folding *now, const double *factor)
{
    clear_triangle(now);
    for (ptrdiff_t i = 0; i < now->n; i++)
        place_row(factor + i * now->n, now->n, 1.0,
                  now->R + (i + 1 < now->n ? i + 1 : 0) * now->Q);
}

/* Whether the first k rows of a factor of n columns are lower triangular. */
static int is_triangle(const double *factor, ptrdiff_t k, ptrdiff_t n)
{
    if (k < n)
        return 0;
    for (ptrdiff_t i = 0; i + 2 < n; i++)
        for (ptrdiff_t j = i + 1; j + 1 < n; j++)
            if (factor[i * n + j] != 0.0)
                return 0;
    for (ptrdiff_t j = 0; j + 1 < n; j++)
        if (factor[(n - 1) * n + j] != 0.0)
            return 0;
    return 1;
}

/* The same for factors of n rows in lanes. */
INLINE int are_triangles(const vec *rows, ptrdiff_t n)
{
    vec_bits found = {0};
    for (ptrdiff_t i = 0; i + 2 < n; i++)
        for (ptrdiff_t j = i + 1; j + 1 < n; j++)
            found |= rows[i * n + j] != splat(0.0);
    for (ptrdiff_t j = 0; j + 1 < n; j++)
        found |= rows[(n - 1) * n + j] != splat(0.0);
    long long any = 0;
    for (int l = 0; l < LANES; l++)
        any |= found[l];
    return !any;
}

/* ---- tasks from their rows */

INLINE ptrdiff_t row_number(const MixedRows *from, ptrdiff_t position)
{
    return from->order ? from->order[position] : position;
}

INLINE double row_root(const MixedRows *from, ptrdiff_t row)
{
    return from->weight ? sqrt(from->weight[row]) : 1.0;
}

/* Row `row` as [target, features, 1] or as [features, 1, target], times its root. */
INLINE void read_row(const MixedRows *from, ptrdiff_t row, double *target, double *x)
{
    const ptrdiff_t d = from->n_features;
    const double root = row_root(from, row), *origin = from->origin;
    if (from->doubles)
        for (ptrdiff_t j = 0; j < d; j++)
            x[j] = (from->doubles[row * d + j] - origin[j]) * root;
    else
        for (ptrdiff_t j = 0; j < d; j++)
            x[j] = ((double)from->floats[row * d + j] - origin[j]) * root;
    x[d] = root;
    *target = (from->y[row] - origin[d]) * root;
}

static void factor_one(const MixedRows *from, ptrdiff_t t, ptrdiff_t k, Folding *now,
                       double *factor)
{
    const ptrdiff_t begin = from->starts[t], end = from->starts[t + 1];
    const ptrdiff_t n = from->n_features + 2, length = end - begin;
    if (length <= k) {
        for (ptrdiff_t i = 0; i < length; i++, factor += n)
            read_row(from, row_number(from, begin + i), factor + n - 1, factor);
        memset(factor, 0, sizeof(double) * (size_t)((k - length) * n));
        return;
    }
    const ptrdiff_t pieces = (length + now->block - 1) / now->block;
    clear_triangle(now);
    for (ptrdiff_t b = 0; b < pieces; b++) {
        const ptrdiff_t first = begin + b * length / pieces;
        const ptrdiff_t m = begin + (b + 1) * length / pieces - first;
        for (ptrdiff_t i = 0; i < m; i++) {
            double *to = now->A + i * now->Q;
            read_row(from, row_number(from, first + i), to, to + 1);
        }
        absorb_rows(n, now->Q, m, now->A, now->R, now->v, 0);
    }
    write_triangle(now, factor);
}

/* Rows `first` to `first + m` of LANES tasks into lanes; missing ones are zero. */
INLINE void read_lanes(const MixedRows *from, const ptrdiff_t *tasks, ptrdiff_t first,
                       ptrdiff_t m, const double *zeros, const int single, vec *A)
{
    const ptrdiff_t d = from->n_features, n = d + 2;
    const size_t size = single ? sizeof(float) : sizeof(double);
    const char *X = single ? (const char *)from->floats : (const char *)from->doubles;
    for (ptrdiff_t i = first; i < first + m; i++, A += n) {
        const void *rows[LANES];
        vec root = {0}, target = {0};
        for (int l = 0; l < LANES; l++) {
            const ptrdiff_t at = from->starts[tasks[l]] + i;
            rows[l] = zeros;
            if (at < from->starts[tasks[l] + 1]) {
                const ptrdiff_t row = row_number(from, at);
                rows[l] = X + (size_t)(row * d) * size;
                ((double *)&root)[l] = row_root(from, row);
                ((double *)&target)[l] = from->y[row] - from->origin[d];
            }
        }
        to_lanes(rows, single, d, A);
        for (ptrdiff_t j = 0; j < d; j++)
            A[j] = (A[j] - from->origin[j]) * root;
        A[d] = root;
        A[d + 1] = target * root;
    }
}

/* The same for tasks as long as each other, rows as they stand and of weight one. */
INLINE void read_equal(const MixedRows *from, const ptrdiff_t *tasks, ptrdiff_t first,
                       ptrdiff_t m, const int single, vec *A, vec *targets)
{
    const ptrdiff_t d = from->n_features, n = d + 2;
    const void *rows[LANES], *y[LANES];
    for (int l = 0; l < LANES; l++) {
        const ptrdiff_t at = from->starts[tasks[l]] + first;
        rows[l] = single ? (const void *)(from->floats + at * d)
                         : (const void *)(from->doubles + at * d);
        y[l] = from->y + at;
    }
    to_lanes(y, 0, m, targets);
    for (ptrdiff_t i = 0; i < m; i++, A += n) {
        to_lanes(rows, single, d, A);
        for (ptrdiff_t j = 0; j < d; j++)
            A[j] -= from->origin[j];
        A[d] = splat(1.0);
        A[d + 1] = targets[i] - from->origin[d];
        for (int l = 0; l < LANES; l++)
            rows[l] = (const char *)rows[l]
                      + (size_t)d * (single ? sizeof(float) : sizeof(double));
    }
}

static void factor_lanes(const MixedRows *from, const ptrdiff_t *tasks,
                         ptrdiff_t longest, int equal, vec *A, vec *R,
                         const double *zeros, double *factors)
{
    const ptrdiff_t n = from->n_features + 2;
    const ptrdiff_t block = most(CACHED_VECTORS / n, 8);
    const ptrdiff_t pieces = (longest + block - 1) / block;
    memset(R, 0, sizeof(vec) * (size_t)(n * n));
    for (ptrdiff_t b = 0; b < pieces; b++) {
        const ptrdiff_t first = b * longest / pieces;
        const ptrdiff_t m = (b + 1) * longest / pieces - first;
        if (equal && from->floats)
            read_equal(from, tasks, first, m, 1, A, R + n * n);
        else if (equal)
            read_equal(from, tasks, first, m, 0, A, R + n * n);
        else if (from->floats)
            read_lanes(from, tasks, first, m, zeros, 1, A);
        else
            read_lanes(from, tasks, first, m, zeros, 0, A);
        absorb(n, m, A, R, 0);
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        double *out[LANES];
        for (int l = 0; l < LANES; l++)
            out[l] = factors + (tasks[l] * n + i) * n;
        from_lanes(R + i * n, n, out);
    }
}

/* Lanes pay where at least half of what they work on is rows. */
static int suits_lanes(const MixedRows *from, const ptrdiff_t *tasks, int count,
                       ptrdiff_t k, ptrdiff_t *longest, int *equal)
{
    ptrdiff_t rows = 0, shortest = PTRDIFF_MAX;
    *longest = 0;
    for (int l = 0; l < count; l++) {
        const ptrdiff_t m = from->starts[tasks[l] + 1] - from->starts[tasks[l]];
        rows += m;
        *longest = most(*longest, m);
        shortest = least(shortest, m);
    }
    *equal = shortest == *longest && !from->order && !from->weight;
    return count == LANES && from->n_features < WIDEST_LANES && shortest > k
           && 2 * rows >= LANES * *longest;
}

/* `sum`, and NaN in some lane if a number is not finite. */
INLINE vec check_finite(const double *numbers, ptrdiff_t n, vec sum)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum += *(const loose_vec *)(numbers + i) * 0.0;
    for (; i < n; i++)
        sum += numbers[i] * 0.0;
    return sum;
}

static int factor_tasks(const MixedRows *from, const ptrdiff_t *sorted,
                        ptrdiff_t n_tasks, ptrdiff_t first, ptrdiff_t last,
                        ptrdiff_t k, double *factors)
{
    const ptrdiff_t n = from->n_features + 2;
    const ptrdiff_t block = most(CACHED_VECTORS / n, 8), rows = n * block;
    Folding now;
    if (open_folding(&now, n))
        return -1;
    vec *A = new_vectors(rows + n * n + block + vectors_for(n));
    if (!A) {
        free(now.A);
        return -1;
    }
    double *zeros = (double *)(A + rows + n * n + block);
    memset(zeros, 0, sizeof(vec) * (size_t)vectors_for(n));
    vec zero = {0};
    for (ptrdiff_t g = first; g < last; g++) {
        int equal;
        const int count = (int)least(LANES, n_tasks - g * LANES);
        ptrdiff_t tasks[LANES], longest;
        for (int l = 0; l < count; l++)
            tasks[l] = sorted ? sorted[g * LANES + l] : g * LANES + l;
        if (suits_lanes(from, tasks, count, k, &longest, &equal))
            factor_lanes(from, tasks, longest, equal, A, A + rows, zeros, factors);
        else
            for (int l = 0; l < count; l++)
                factor_one(from, tasks[l], k, &now, factors + tasks[l] * k * n);
        for (int l = 0; l < count; l++)
            zero = check_finite(factors + tasks[l] * k * n, k * n, zero);
    }
    free(A);
    free(now.A);
    return sum_lanes(zero) != 0.0;
}

/* ---- factors from factors */

INLINE int is_zero(const double *row, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++)
        if (row[j] != 0.0)
            return 0;
    return 1;
}

/* Absorb the rows that are not zero of k rows times `root`. */
static void fold_rows(Folding *now, const double *rows, ptrdiff_t k, double root,
                      int triangle)
{
    const ptrdiff_t n = now->n;
    ptrdiff_t m = 0;
    for (ptrdiff_t i = 0; i < k; i++) {
        if (!triangle && is_zero(rows + i * n, n))
            continue;
        place_row(rows + i * n, n, root, now->A + m++ * now->Q);
        if (m == now->block || (i + 1 == k && m)) {
            absorb_rows(n, now->Q, m, now->A, now->R, now->v, triangle);
            m = 0;
        }
    }
    if (m)
        absorb_rows(n, now->Q, m, now->A, now->R, now->v, triangle);
}

/* Keep the rows that are not zero, at the top of `out`, as far as there is room. */
static ptrdiff_t keep_rows(const double *rows, ptrdiff_t k, ptrdiff_t n, ptrdiff_t room,
                           double *out)
{
    ptrdiff_t kept = 0;
    for (ptrdiff_t i = 0; i < k; i++)
        if (!is_zero(rows + i * n, n)) {
            if (kept < room && out + kept * n != rows + i * n)
                memcpy(out + kept * n, rows + i * n, sizeof(double) * (size_t)n);
            kept++;
        }
    return kept;
}

static int add_tasks(ptrdiff_t n_tasks, ptrdiff_t n_more, ptrdiff_t n, double *factors,
                     const double *more)
{
    Folding now;
    if (open_folding(&now, n))
        return -1;
    for (ptrdiff_t t = 0; t < n_tasks; t++, factors += n * n, more += n_more * n) {
        ptrdiff_t kept = 0, added = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            kept += !is_zero(factors + i * n, n);
        for (ptrdiff_t i = 0; i < n_more; i++)
            added += !is_zero(more + i * n, n);
        if (kept + added <= n) {
            keep_rows(factors, n, n, n, factors);
            keep_rows(more, n_more, n, n - kept, factors + kept * n);
            memset(factors + (kept + added) * n, 0,
                   sizeof(double) * (size_t)((n - kept - added) * n));
            continue;
        }
        if (is_triangle(factors, n, n))
            read_triangle(&now, factors);
        else {
            clear_triangle(&now);
            fold_rows(&now, factors, n, 1.0, 0);
        }
        fold_rows(&now, more, n_more, 1.0, 0);
        write_triangle(&now, factors);
    }
    free(now.A);
    return 0;
}

/* Half the mean squared residual of every task: its factor times `line`. */
static void line_losses(const double *factors, const double *line, ptrdiff_t n_tasks,
                        ptrdiff_t k, ptrdiff_t n, double *losses)
{
    for (ptrdiff_t t = 0; t < n_tasks; t++) {
        double squares = 0.0, weight = 0.0;
        for (ptrdiff_t i = 0; i < k; i++, factors += n) {
            double residual = 0.0;
            for (ptrdiff_t j = 0; j < n; j++)
                residual += factors[j] * line[j];
            squares += residual * residual;
            weight += factors[n - 2] * factors[n - 2];
        }
        losses[t] = 0.5 * squares / weight;
    }
}

/* The sums of the rows of LANES tasks, from their factors A. */
INLINE void write_sums(const vec *A, ptrdiff_t k, ptrdiff_t n, vec *row, double *sums)
{
    double *out[LANES];
    for (int l = 0; l < LANES; l++)
        out[l] = sums + l * n;
    for (ptrdiff_t j = 0; j < n; j++)
        row[j] = splat(0.0);
    for (ptrdiff_t i = 0; i < k; i++, A += n)
        for (ptrdiff_t j = 0; j < n; j++)
            row[j] += A[n - 2] * A[j];
    from_lanes(row, n, out);
}

/* Tasks LANES first to LANES last in lanes, then the lanes one after another. */
static void sum_lanes_of(const double *factors, const double *weights, ptrdiff_t k,
                         ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, vec *A, vec *R,
                         double *row, double *sums, Folding *now)
{
    memset(R, 0, sizeof(vec) * (size_t)(n * n));
    for (ptrdiff_t g = first; g < last; g++) {
        for (ptrdiff_t i = 0; i < k; i++) {
            const void *rows[LANES];
            for (int l = 0; l < LANES; l++)
                rows[l] = factors + ((g * LANES + l) * k + i) * n;
            to_lanes(rows, 0, n, A + i * n);
        }
        if (sums)
            write_sums(A, k, n, (vec *)row, sums + g * LANES * n);
        if (weights) {
            const vec root = square_root(*(const loose_vec *)(weights + g * LANES));
            for (ptrdiff_t i = 0; i < k * n; i++)
                A[i] *= root;
        }
        absorb(n, k, A, R, k == n && are_triangles(A, n));
    }
    for (int l = 0; l < LANES; l++)
        for (ptrdiff_t i = 0; i < n; i++) {
            for (ptrdiff_t j = 0; j < n; j++)
                row[j] = ((const double *)(R + i * n + j))[l];
            place_row(row, n, 1.0, now->A + i * now->Q);
            if (i + 1 == n)
                absorb_rows(n, now->Q, n, now->A, now->R, now->v, 1);
        }
}

static int sum_tasks(const double *factors, const double *weights, ptrdiff_t n_tasks,
                     ptrdiff_t k, ptrdiff_t n, ptrdiff_t first, ptrdiff_t last,
                     double *total, double *sums)
{
    const ptrdiff_t whole = n - 1 <= WIDEST_LANES ? least(last, n_tasks / LANES) : first;
    Folding now;
    if (open_folding(&now, n))
        return -1;
    clear_triangle(&now);
    if (whole > first) {
        vec *A = new_vectors((n + k + 1) * n);
        if (!A) {
            free(now.A);
            return -1;
        }
        vec *R = A + k * n;
        sum_lanes_of(factors, weights, k, n, first, whole, A, R,
                     (double *)(R + n * n), sums, &now);
        free(A);
    }
    for (ptrdiff_t t = whole * LANES; t < least(n_tasks, last * LANES); t++) {
        const double *factor = factors + t * k * n;
        for (ptrdiff_t j = 0; sums && j < n; j++) {
            sums[t * n + j] = 0.0;
            for (ptrdiff_t i = 0; i < k; i++)
                sums[t * n + j] += factor[i * n + n - 2] * factor[i * n + j];
        }
        fold_rows(&now, factor, k, weights ? sqrt(weights[t]) : 1.0,
                  is_triangle(factor, k, n));
    }
    write_triangle(&now, total);
    free(now.A);
    return 0;
}
