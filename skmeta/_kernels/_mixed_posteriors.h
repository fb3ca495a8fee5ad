/* Posteriors of LANES tasks at a time. */

typedef struct {
    ptrdiff_t k; /* rows that are not zero in some task */
    vec *rows;   /* L and the target, n wide */
    vec *L, *Y, *e, *line, *means;
    vec *T, *X, *H, *J, *C, *G; /* n * n each */
    Work work;
    double *zeros;
} Posterior;

static vec *open_posterior(Posterior *now, ptrdiff_t p)
{
    const ptrdiff_t n = p + 1, square = n * n;
    vec *at = new_vectors(10 * square + 2 * matrix_size(0, n, n) + 4 * n + vectors_for(n)
                          + vectors_for(square));
    if (!at)
        return NULL;
    vec **const parts[] = {&now->rows, &now->L, &now->Y, &now->T, &now->X,
                           &now->H,    &now->J, &now->C, &now->G, &now->work.B};
    for (int i = 0; i < 10; i++)
        *parts[i] = at + i * square;
    vec *rest = at + 10 * square;
    now->work.U = rest;
    now->work.inverse = rest + 2 * matrix_size(0, n, n);
    now->e = now->work.inverse + n;
    now->line = now->e + n;
    now->means = now->line + n;
    now->zeros = (double *)(now->means + n);
    memset(now->zeros, 0, sizeof(vec) * (size_t)vectors_for(n));
    return at;
}

/* Rows of the factors of the group up to the last one that is not zero. */
static ptrdiff_t rows_in_use(const MixedPosteriors *from, const ptrdiff_t *task,
                             ptrdiff_t n)
{
    ptrdiff_t k = 0;
    for (int l = 0; l < LANES; l++)
        if (task[l] >= 0) {
            const double *factor = from->factors + task[l] * from->k * n;
            ptrdiff_t rows = from->k;
            while (rows > k && is_zero(factor + (rows - 1) * n, n))
                rows--;
            k = most(k, rows);
        }
    return k;
}

/* L, the residual of the line in e. */
static void read_posterior(const MixedPosteriors *from, const MixedUnits *units,
                           const ptrdiff_t *task, Posterior *now)
{
    const ptrdiff_t p = from->n_features + 1, n = p + 1;
    const void *lines[LANES];
    for (int l = 0; l < LANES; l++)
        lines[l] = from->lines + (task[l] < 0 ? 0 : task[l]) * from->line_stride;
    to_lanes(lines, 0, p, now->line);
    now->k = rows_in_use(from, task, n);
    factors_to_lanes(from->factors, task, now->k, from->k, n, now->zeros, now->rows);
    for (ptrdiff_t i = 0; i < now->k; i++) {
        vec *row = now->rows + i * n;
        to_units(units, p, row);
        vec e = row[p];
        for (ptrdiff_t j = 0; j < p; j++) {
            now->L[i * p + j] = row[j];
            e -= row[j] * now->line[j];
        }
        now->e[i] = e;
    }
}

static int has_failed(const Pivots *pivots, const ptrdiff_t *task)
{
    for (int l = 0; l < LANES; l++)
        if (task[l] >= 0 && pivots->failed[l])
            return 1;
    return 0;
}

/* means = line + S Y'e; returns whether a pivot failed. */
static int posterior_means(const MixedPosteriors *from, const MixedPrior *prior,
                           Posterior *now, const ptrdiff_t *task)
{
    const ptrdiff_t p = from->n_features + 1;
    const Form form = {1, now->k, p, 0, now->k * p};
    Pivots pivots = {splat(1.0), {0}, {0}};
    vec *s = now->C;
    times_root(1, &form, prior->R, prior->diagonal, now->L, now->work.B);
    whiten(1, &form, prior->v, now->L, &now->work, now->Y, now->e, &pivots);
    find_scores(1, &form, now->Y, now->e, s);
    for (ptrdiff_t i = 0; i < p; i++) {
        vec sum = now->line[i];
        for (ptrdiff_t j = 0; j < p; j++)
            if (from->S[i * p + j] != 0.0)
                sum += from->S[i * p + j] * s[j];
        now->means[i] = sum;
    }
    return has_failed(&pivots, task);
}

static int are_finite(const vec *values, ptrdiff_t n, const ptrdiff_t *task)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (int l = 0; l < LANES; l++)
            if (task[l] >= 0 && !isfinite(values[i][l]))
                return 0;
    return 1;
}

/* T'T = v I + R'L'L R by reflections, X = R inv(T): means = line + X t, C = v X X'. */
static void posterior_covariances(const MixedPrior *prior, ptrdiff_t p, Posterior *now)
{
    const ptrdiff_t n = p + 1;
    const Form form = {1, now->k, p, 0, now->k * p};
    times_root(1, &form, prior->R, prior->diagonal, now->L, now->work.B);
    for (ptrdiff_t i = 0; i < now->k; i++) {
        memcpy(now->rows + i * n, now->work.B + i * p, sizeof(vec) * (size_t)p);
        now->rows[i * n + p] = now->e[i];
    }
    memset(now->T, 0, sizeof(vec) * (size_t)(n * n));
    for (ptrdiff_t i = 0; i < p; i++)
        now->T[i * n + i] = splat(sqrt(prior->v));
    absorb(n, now->k, now->rows, now->T, 0);
    for (ptrdiff_t j = p - 1; j >= 0; j--) {
        const vec inverse = 1.0 / now->T[j * n + j];
        for (ptrdiff_t i = j; i < p; i++) {
            vec x = splat(prior->R[i * p + j]);
            for (ptrdiff_t c = j + 1; c <= i; c++)
                x -= now->X[i * p + c] * now->T[c * n + j];
            now->X[i * p + j] = x * inverse;
        }
    }
    for (ptrdiff_t i = 0; i < p; i++) {
        vec mean = now->line[i];
        for (ptrdiff_t c = 0; c <= i; c++)
            mean += now->X[i * p + c] * now->T[c * n + p];
        now->means[i] = mean;
        for (ptrdiff_t j = 0; j <= i; j++) {
            vec sum = {0};
            for (ptrdiff_t c = 0; c <= j; c++)
                sum += now->X[i * p + c] * now->X[j * p + c];
            now->C[i * p + j] = now->C[j * p + i] = sum * prior->v;
        }
    }
}

INLINE void multiply_squares(ptrdiff_t p, const vec *a, const vec *b, ptrdiff_t b_row,
                             ptrdiff_t b_next, const int add, vec *out)
{
    for (ptrdiff_t I = 0; I < p; I += 4)
        for (ptrdiff_t J = 0; J < p; J += 4) {
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec acc[4][4] = ZERO_TILE;                                                     \
        multiply(ni, nj, 1, p, a + I * p, p, 1, b + J * b_row, b_row, b_next, acc);    \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                if (add)                                                               \
                    out[(I + i) * p + J + j] += acc[i][j];                             \
                else                                                                   \
                    out[(I + i) * p + J + j] = acc[i][j];                              \
    } while (0)
            WITH_TILE(least(p - I, 4), least(p - J, 4), CALL)
#undef CALL
        }
}

/* C += J G J', J = I - S Y'Y; if pivots have failed, the same by C: I - C L'L / v */
static void add_line_covariance(const MixedPosteriors *from, const ptrdiff_t *task,
                                double v, const int by_rows, Posterior *now)
{
    const ptrdiff_t p = from->n_features + 1;
    const Form form = {1, now->k, p, 0, now->k * p};
    const void *rows[LANES];
    for (int l = 0; l < LANES; l++)
        rows[l] = from->line_covariance
                  + (task[l] < 0 ? 0 : task[l]) * from->spread_stride;
    to_lanes(rows, 0, p * p, now->G);
    find_information(1, &form, by_rows ? now->L : now->Y, now->H);
    memset(now->J, 0, sizeof(vec) * (size_t)(p * p));
    for (ptrdiff_t i = 0; i < p; i++) {
        now->J[i * p + i] = splat(1.0);
        for (ptrdiff_t c = 0; c < p; c++)
            if (from->S[i * p + c] != 0.0 || by_rows) {
                const vec gain = by_rows ? now->C[i * p + c] / v
                                         : splat(from->S[i * p + c]);
                for (ptrdiff_t j = 0; j < p; j++)
                    now->J[i * p + j] -= gain * now->H[c * p + j];
            }
    }
    multiply_squares(p, now->J, now->G, 1, p, 0, now->X);
    multiply_squares(p, now->X, now->J, p, 1, 1, now->C);
}

static void write_posterior(const MixedPosteriors *from, const ptrdiff_t *task,
                            Posterior *now)
{
    const ptrdiff_t p = from->n_features + 1;
    double *spare = now->zeros + LANES * vectors_for(p + 1);
    double *means[LANES], *covariances[LANES];
    for (int l = 0; l < LANES; l++) {
        means[l] = task[l] < 0 ? spare : from->means + task[l] * p;
        covariances[l] = task[l] < 0 ? spare : from->covariances + task[l] * p * p;
    }
    from_lanes(now->means, p, means);
    if (from->covariances)
        from_lanes(now->C, p * p, covariances);
}

static int solve_groups(const MixedPosteriors *from, const MixedUnits *units,
                        const MixedPrior *prior, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t p = from->n_features + 1;
    Posterior now;
    vec *memory = open_posterior(&now, p);
    if (!memory)
        return -1;
    int failed = 0;
    for (ptrdiff_t g = first; g < last && !failed; g++) {
        ptrdiff_t task[LANES];
        for (int l = 0; l < LANES; l++)
            task[l] = g * LANES + l < from->n_tasks ? g * LANES + l : -1;
        read_posterior(from, units, task, &now);
        if (from->covariances) {
            posterior_covariances(prior, p, &now);
            if (from->line_covariance) {
                const Form form = {1, now.k, p, 0, now.k * p};
                Pivots pivots = {splat(1.0), {0}, {0}};
                whiten(1, &form, prior->v, now.L, &now.work, now.Y, now.e, &pivots);
                add_line_covariance(from, task, prior->v, has_failed(&pivots, task),
                                    &now);
            }
        }
        else if (posterior_means(from, prior, &now, task)) {
            /* v is below the rounding of L S L': rows of S alone keep their digits */
            read_posterior(from, units, task, &now);
            posterior_covariances(prior, p, &now);
            failed = !are_finite(now.means, p, task);
        }
        write_posterior(from, task, &now);
    }
    free(memory);
    return failed;
}
