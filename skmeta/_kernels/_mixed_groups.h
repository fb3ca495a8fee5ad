/* Groups of tasks and their M. A group of LANES tasks has `k` rows L of p columns, dense
 * or lower triangular (k = p); its M = v I + L S L' = U U' is factored by tiles.
 */

enum { BATCH = 8 }; /* groups whose products are summed together */

typedef struct {
    int dense;
    ptrdiff_t k, p, q, size; /* size of L */
} Form;

INLINE Form form_of(const MixedTasks *tasks, ptrdiff_t g)
{
    Form form = {tasks->rows[g] > 0, tasks->rows[g], tasks->p, tasks->q, 0};
    if (!form.dense)
        form.k = form.p;
    form.size = matrix_size(form.dense, form.k, form.p);
    return form;
}

/* What a group holds. */
typedef struct {
    vec *L, *z, *residual, *weight, *level, *Y, *e, *s;
} Group;

INLINE Group group_of(const MixedTasks *tasks, const Form *form, ptrdiff_t g)
{
    Group now;
    now.L = (vec *)tasks->data + tasks->data_at[g];
    now.z = now.L + form->size;
    now.residual = now.z + form->k;
    now.weight = now.residual + 1;
    now.level = now.weight + 1;
    now.Y = (vec *)tasks->kept + tasks->kept_at[g];
    now.e = now.Y + form->size;
    now.s = now.e + form->k;
    return now;
}

/* Rows i of a matrix in either form. */
INLINE ptrdiff_t row_at(const int dense, ptrdiff_t i, ptrdiff_t p)
{
    return block_at(dense, i / 4, p) + i % 4 * block_width(dense, i / 4, p);
}

/* ---- loading */

INLINE void to_units(const MixedUnits *units, ptrdiff_t p, vec *row)
{
    const ptrdiff_t d = p - 1;
    const vec one = row[d];
    for (ptrdiff_t j = 0; j < d; j++)
        row[j] = (row[j] - one * units->mean[j]) * units->scale[j];
    row[d] = one * units->bias;
    row[p] = (row[p] - one * units->target_mean) / units->target_scale;
}

/* LANES factors in lanes, in the first k of their K rows; missing tasks are zeros. */
static void factors_to_lanes(const double *factors, const ptrdiff_t *task, ptrdiff_t k,
                             ptrdiff_t K, ptrdiff_t n, const double *zeros, vec *rows)
{
    for (ptrdiff_t i = 0; i < k; i++) {
        const void *from[LANES];
        for (int l = 0; l < LANES; l++)
            from[l] = task[l] < 0 ? zeros : factors + (task[l] * K + i) * n;
        to_lanes(from, 0, n, rows + i * n);
    }
}

static void store_group(const MixedTasks *tasks, const Form *form, ptrdiff_t g,
                        const double *weights, const double *level, const vec *rows)
{
    const ptrdiff_t p = form->p, n = p + 1;
    const ptrdiff_t *task = tasks->task + g * LANES;
    Group now = group_of(tasks, form, g);
    memset(now.L, 0, sizeof(vec) * (size_t)form->size);
    for (ptrdiff_t i = 0; i < form->k; i++) {
        const ptrdiff_t width = form->dense ? p : i + 1;
        memcpy(now.L + row_at(form->dense, i, p), rows + i * n,
               sizeof(vec) * (size_t)width);
        now.z[i] = rows[i * n + p];
    }
    const vec r = form->dense ? (vec){0} : rows[p * n + p];
    *now.residual = r * r;
    *now.weight = (vec){0};
    memset(now.level, 0, sizeof(vec) * (size_t)form->q);
    for (int l = 0; l < LANES; l++)
        if (task[l] >= 0) {
            ((double *)now.weight)[l] = weights[task[l]];
            for (ptrdiff_t j = 0; j < form->q; j++)
                ((double *)(now.level + j))[l] = level[task[l] * form->q + j];
        }
}

static int load_tasks(const MixedTasks *tasks, const double *factors,
                      const double *weights, const double *level,
                      const MixedUnits *units, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t p = tasks->p, n = p + 1, K = tasks->k;
    vec *rows = new_vectors(2 * n * n + vectors_for(n));
    if (!rows)
        return -1;
    vec *R = rows + n * n;
    double *zeros = (double *)(R + n * n);
    memset(zeros, 0, sizeof(vec) * (size_t)vectors_for(n));
    for (ptrdiff_t g = first; g < last; g++) {
        const ptrdiff_t *task = tasks->task + g * LANES;
        const Form form = form_of(tasks, g);
        const ptrdiff_t k = form.dense ? least(form.k, K) : K;
        factors_to_lanes(factors, task, k, K, n, zeros, rows);
        const int triangle = !form.dense && K == n && are_triangles(rows, n);
        for (ptrdiff_t i = 0; i < k; i++)
            to_units(units, p, rows + i * n);
        if (k < form.k)
            memset(rows + k * n, 0, sizeof(vec) * (size_t)((form.k - k) * n));
        vec *made = rows;
        if (!form.dense && !triangle) {
            memset(R, 0, sizeof(vec) * (size_t)(n * n));
            absorb(n, k, rows, R, 0);
            made = R;
        }
        store_group(tasks, &form, g, weights, level, made);
    }
    free(rows);
    return 0;
}

/* ---- M = U U', Y = inv(U) L, e = inv(U) e */

/* U is lower triangular of k rows; B has the rows of L times the root of S. */
typedef struct {
    vec *B, *U, *inverse; /* inverse: of the diagonal of U */
} Work;

INLINE void tile_under(const int ni, const int dense, ptrdiff_t I, ptrdiff_t J,
                       const Form *form, Work *work)
{
    const ptrdiff_t p = form->p, k = form->k;
    const ptrdiff_t wi = block_width(dense, I, p), wj = block_width(dense, J, p);
    const ptrdiff_t ui = block_width(0, I, k), uj = block_width(0, J, k);
    vec *u = work->U + block_at(0, I, k);
    const vec *t = work->U + block_at(0, J, k);
    const vec *b = work->B + block_at(dense, I, p), *c = work->B + block_at(dense, J, p);
    vec acc[4][4] = ZERO_TILE;
    multiply(ni, 4, 1, wj, b, wi, 1, c, wj, 1, acc);
    multiply(ni, 4, -1, 4 * J, u, ui, 1, t, uj, 1, acc);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
#pragma GCC unroll 4
        for (int h = 0; h < j; h++)
#pragma GCC unroll 4
            for (int i = 0; i < ni; i++)
                acc[i][j] -= acc[i][h] * t[j * uj + 4 * J + h];
#pragma GCC unroll 4
        for (int i = 0; i < ni; i++) {
            acc[i][j] *= work->inverse[4 * J + j];
            u[i * ui + 4 * J + j] = acc[i][j];
        }
    }
}

INLINE void tile_on_diagonal(const int n, const int dense, ptrdiff_t I,
                             const Form *form, double v, Work *work, Pivots *pivots)
{
    const ptrdiff_t w = block_width(dense, I, form->p), x = block_width(0, I, form->k);
    const vec *b = work->B + block_at(dense, I, form->p);
    vec *u = work->U + block_at(0, I, form->k);
    vec acc[4][4] = ZERO_TILE;
    multiply(n, n, 1, w, b, w, 1, b, w, 1, acc);
    multiply(n, n, -1, 4 * I, u, x, 1, u, x, 1, acc);
#pragma GCC unroll 4
    for (int j = 0; j < n; j++) {
        vec d = acc[j][j] + v;
#pragma GCC unroll 4
        for (int h = 0; h < j; h++)
            d -= acc[j][h] * acc[j][h];
        pivots->failed |= ~(d > splat(0.0));
        pivots->mantissa *= d;
        acc[j][j] = square_root(d);
        const vec inverse = 1.0 / acc[j][j];
        work->inverse[4 * I + j] = inverse;
#pragma GCC unroll 4
        for (int i = j + 1; i < n; i++) {
#pragma GCC unroll 4
            for (int h = 0; h < j; h++)
                acc[i][j] -= acc[i][h] * acc[j][h];
            acc[i][j] *= inverse;
        }
    }
    take_exponent(pivots);
#pragma GCC unroll 4
    for (int i = 0; i < n; i++)
#pragma GCC unroll 4
        for (int j = 0; j < n; j++)
            u[i * x + 4 * I + j] = j <= i ? acc[i][j] : (vec){0};
}

INLINE void tile_of_Y(const int ni, const int nj, const int dense, ptrdiff_t I,
                      ptrdiff_t J, const Form *form, const Work *work, const vec *L,
                      vec *Y)
{
    const ptrdiff_t p = form->p, ui = block_width(0, I, form->k);
    const ptrdiff_t w = block_width(dense, I, p);
    const vec *u = work->U + block_at(0, I, form->k);
    const vec *l = L + block_at(dense, I, p) + 4 * J;
    vec *y = Y + block_at(dense, I, p) + 4 * J;
    vec acc[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < ni; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nj; j++)
            acc[i][j] = l[i * w + j];
    for (ptrdiff_t C = dense ? 0 : J; C < I; C++)
        multiply(ni, nj, -1, 4, u + 4 * C, ui, 1, Y + block_at(dense, C, p) + 4 * J, 1,
                 block_width(dense, C, p), acc);
#pragma GCC unroll 4
    for (int i = 0; i < ni; i++) {
        const vec inverse = work->inverse[4 * I + i];
#pragma GCC unroll 4
        for (int h = 0; h < i; h++)
#pragma GCC unroll 4
            for (int j = 0; j < nj; j++)
                acc[i][j] -= u[i * ui + 4 * I + h] * acc[h][j];
#pragma GCC unroll 4
        for (int j = 0; j < nj; j++)
            y[i * w + j] = acc[i][j] *= inverse;
    }
}

INLINE void solve_block(ptrdiff_t I, const Form *form, const Work *work, vec *e)
{
    const ptrdiff_t width = block_width(0, I, form->k);
    const vec *u = work->U + block_at(0, I, form->k);
    for (ptrdiff_t i = 4 * I; i < least(4 * I + 4, form->k); i++, u += width) {
        vec sum = e[i];
        for (ptrdiff_t c = 0; c < i; c++)
            sum -= u[c] * e[c];
        e[i] = sum * work->inverse[i];
    }
}

INLINE void whiten(const int dense, const Form *form, double v, const vec *L,
                   Work *work, vec *Y, vec *e, Pivots *pivots)
{
    for (ptrdiff_t I = 0; I < blocks(form->k); I++) {
        const ptrdiff_t ni = least(form->k - 4 * I, 4);
        for (ptrdiff_t J = 0; J < I; J++) {
#define CALL(a, b) tile_under(a, dense, I, J, form, work)
            WITH_ROWS(ni, 4, CALL)
#undef CALL
        }
#define CALL(a, b) tile_on_diagonal(a, dense, I, form, v, work, pivots)
        WITH_ROWS(ni, 4, CALL)
#undef CALL
        for (ptrdiff_t J = 0; J < (dense ? blocks(form->p) : I + 1); J++) {
#define CALL(a, b) tile_of_Y(a, b, dense, I, J, form, work, L, Y)
            WITH_TILE(ni, least(form->p - 4 * J, 4), CALL)
#undef CALL
        }
        solve_block(I, form, work, e);
    }
}

/* B = L R, R lower triangular and shared. */
INLINE void times_root(const int dense, const Form *form, const double *R,
                       int diagonal, const vec *L, vec *B)
{
    const ptrdiff_t p = form->p;
    for (ptrdiff_t I = 0; I < blocks(form->k); I++) {
        const ptrdiff_t w = block_width(dense, I, p), ni = least(form->k - 4 * I, 4);
        const vec *l = L + block_at(dense, I, p);
        vec *b = B + block_at(dense, I, p);
        if (diagonal) {
            for (ptrdiff_t j = 0; j < w; j++)
                for (ptrdiff_t i = 0; i < ni; i++)
                    b[i * w + j] = l[i * w + j] * R[j * p + j];
            continue;
        }
        for (ptrdiff_t J = 0; 4 * J < w; J++) {
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply_shared(ni, nj, w - 4 * J, l + 4 * J, w, 1, R + 4 * J * p + 4 * J, 1,  \
                        p, acc);                                                       \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                b[i * w + 4 * J + j] = acc[i][j];                                      \
    } while (0)
            WITH_TILE(ni, least(w - 4 * J, 4), CALL)
#undef CALL
        }
    }
}

/* out[i] -= sum of L[i][j] step[j], and of its last column times `level` */
INLINE void subtract_line(const int dense, const Form *form, const vec *L,
                          const double *step, vec level, vec *out)
{
    const ptrdiff_t p = form->p;
    for (ptrdiff_t i = 0; i < form->k; i++) {
        const vec *l = L + row_at(dense, i, p);
        const ptrdiff_t width = dense ? p : i + 1;
        vec a = {0}, b = {0};
        ptrdiff_t j = 0;
        for (; j + 2 <= width; j += 2) {
            a += l[j] * step[j];
            b += l[j + 1] * step[j + 1];
        }
        if (j < width)
            a += l[j] * step[j];
        if (width == p)
            b += l[p - 1] * level;
        out[i] -= a + b;
    }
}

/* s = Y'e */
INLINE void find_scores(const int dense, const Form *form, const vec *Y, const vec *e,
                        vec *s)
{
    memset(s, 0, sizeof(vec) * (size_t)form->p);
    for (ptrdiff_t i = 0; i < form->k; i++) {
        const vec *y = Y + row_at(dense, i, form->p), x = e[i];
        for (ptrdiff_t j = 0; j < (dense ? form->p : i + 1); j++)
            s[j] += y[j] * x;
    }
}

INLINE vec level_times(const Form *form, const vec *level, const double *gamma)
{
    vec sum = {0};
    for (ptrdiff_t j = 0; j < form->q; j++)
        sum += level[j] * gamma[j];
    return sum;
}

/* The last column of H. */
INLINE void intercept_column(const int dense, const Form *form, const vec *Y, vec *h)
{
    const ptrdiff_t p = form->p;
    memset(h, 0, sizeof(vec) * (size_t)p);
    for (ptrdiff_t i = dense ? 0 : p - 1; i < form->k; i++) {
        const vec *y = Y + row_at(dense, i, p), x = y[p - 1];
        for (ptrdiff_t j = 0; j < p; j++)
            h[j] += y[j] * x;
    }
}

/* acc += sum of a column block of Y with one of G, both in the form of Y */
INLINE void multiply_columns(const int ni, const int nj, const int dense,
                             const Form *form, const vec *Y, ptrdiff_t I, const vec *G,
                             ptrdiff_t J, vec acc[4][4])
{
    const ptrdiff_t p = form->p;
    if (dense) {
        multiply(ni, nj, 1, form->k, Y + 4 * I, 1, p, G + 4 * J, 1, p, acc);
        return;
    }
    for (ptrdiff_t C = most(I, J); C < blocks(p); C++) {
        const ptrdiff_t w = block_width(0, C, p), at = block_at(0, C, p);
        multiply(ni, nj, 1, least(p - 4 * C, 4), Y + at + 4 * I, 1, w, G + at + 4 * J, 1,
                 w, acc);
    }
}
