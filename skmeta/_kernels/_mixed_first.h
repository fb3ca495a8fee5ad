/* The first sweep of an iteration: the information on the mean. */

/* Sums in lanes: p * p information (lower tiles), p * q, q * q, p, q, 1. */
typedef struct {
    vec *information, *cross, *levels, *score, *level_score, *log_det;
} FirstSums;

static ptrdiff_t first_size(ptrdiff_t p, ptrdiff_t q)
{
    return p * p + p * q + q * q + p + q + 1;
}

static FirstSums first_sums(vec *at, ptrdiff_t p, ptrdiff_t q)
{
    FirstSums sums;
    sums.information = at;
    sums.cross = at + p * p;
    sums.levels = sums.cross + p * q;
    sums.score = sums.levels + q * q;
    sums.level_score = sums.score + p;
    sums.log_det = sums.level_score + q;
    return sums;
}

INLINE void add_levels(const int dense, const Form *form, const Group *now, vec *h,
                       FirstSums *sums)
{
    const ptrdiff_t p = form->p, q = form->q;
    const vec om = *now->weight;
    intercept_column(dense, form, now->Y, h);
    for (ptrdiff_t i = 0; i < p; i++) {
        const vec x = h[i] * om;
        for (ptrdiff_t j = 0; j < q; j++)
            sums->cross[i * q + j] += x * now->level[j];
    }
    for (ptrdiff_t i = 0; i < q; i++) {
        const vec x = h[p - 1] * om * now->level[i];
        for (ptrdiff_t j = 0; j <= i; j++)
            sums->levels[i * q + j] += x * now->level[j];
        sums->level_score[i] += now->s[p - 1] * om * now->level[i];
    }
}

/* One group; returns whether a pivot failed. */
INLINE int first_group(const int dense, const MixedTasks *tasks, const Form *form,
                       ptrdiff_t g, const MixedPrior *prior, Work *work, vec *h,
                       FirstSums *sums)
{
    Group now = group_of(tasks, form, g);
    const ptrdiff_t p = form->p;
    Pivots pivots = {splat(1.0), {0}, {0}};
    const vec log_v = splat(log(prior->v));
    memcpy(now.e, now.z, sizeof(vec) * (size_t)form->k);
    subtract_line(dense, form, now.L, prior->beta,
                  level_times(form, now.level, prior->beta + p), now.e);
    times_root(dense, form, prior->R, prior->diagonal, now.L, work->B);
    whiten(dense, form, prior->v, now.L, work, now.Y, now.e, &pivots);
    find_scores(dense, form, now.Y, now.e, now.s);
    for (ptrdiff_t j = 0; j < p; j++)
        sums->score[j] += *now.weight * now.s[j];
    *sums->log_det += *now.weight
                      * (log_of(&pivots) + (double)(tasks->k - form->k) * log_v);
    if (form->q)
        add_levels(dense, form, &now, h, sums);
    vec_bits real = *now.weight != splat(0.0), failed = pivots.failed & real;
    for (int l = 0; l < LANES; l++)
        if (failed[l])
            return 1;
    return 0;
}

/* Add H of groups of one form, from the Y kept, to the sum. */
INLINE void add_information(const int dense, const MixedTasks *tasks, const Form *form,
                            ptrdiff_t first, ptrdiff_t last, vec *sum)
{
    const ptrdiff_t p = form->p;
    for (ptrdiff_t I = 0; I < blocks(p); I++)
        for (ptrdiff_t J = 0; J <= I; J++) {
            vec *to = sum + 4 * I * p + 4 * J;
#define CALL(ni, nj)                                                                   \
    do {                                                                               \
        vec total[4][4] = ZERO_TILE;                                                   \
        for (ptrdiff_t g = first; g < last; g++) {                                     \
            const Group now = group_of(tasks, form, g);                                \
            vec acc[4][4] = ZERO_TILE;                                                 \
            multiply_columns(ni, nj, dense, form, now.Y, I, now.Y, J, acc);            \
            for (int i = 0; i < ni; i++)                                               \
                for (int j = 0; j < nj; j++)                                           \
                    total[i][j] += acc[i][j] * *now.weight;                            \
        }                                                                              \
        for (int i = 0; i < ni; i++)                                                   \
            for (int j = 0; j < nj; j++)                                               \
                to[i * p + j] += total[i][j];                                          \
    } while (0)
            WITH_TILE(least(p - 4 * I, 4), least(p - 4 * J, 4), CALL)
#undef CALL
        }
}

/* The end of a batch of groups of one form. */
INLINE ptrdiff_t batch_end(const MixedTasks *tasks, ptrdiff_t g, ptrdiff_t last)
{
    ptrdiff_t end = g + 1;
    while (end < last && end < g + BATCH && tasks->rows[end] == tasks->rows[g])
        end++;
    return end;
}

INLINE void sum_symmetric(const vec *lanes, ptrdiff_t n, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j <= i; j++)
            out[i * n + j] = out[j * n + i] = sum_lanes(lanes[i * n + j]);
}

INLINE void sum_all(const vec *lanes, ptrdiff_t n, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = sum_lanes(lanes[i]);
}

static ptrdiff_t work_size(ptrdiff_t p)
{
    return 2 * matrix_size(0, p, p) + p + matrix_size(1, p, p);
}

static Work open_work(vec *at, ptrdiff_t p)
{
    Work work = {at, at + matrix_size(1, p, p), NULL};
    work.inverse = work.U + matrix_size(0, p, p);
    return work;
}

static int first_sweep(const MixedTasks *tasks, const MixedPrior *prior,
                       ptrdiff_t first, ptrdiff_t last, double *out)
{
    const ptrdiff_t p = tasks->p, q = tasks->q, size = first_size(p, q);
    vec *at = new_vectors(size + work_size(p) + p);
    if (!at)
        return -1;
    memset(at, 0, sizeof(vec) * (size_t)size);
    FirstSums sums = first_sums(at, p, q);
    Work work = open_work(at + size, p);
    vec *h = at + size + work_size(p);
    int failed = 0;
    for (ptrdiff_t g = first, end; g < last && !failed; g = end) {
        const Form form = form_of(tasks, g);
        end = batch_end(tasks, g, last);
        for (ptrdiff_t i = g; i < end; i++)
            failed |= form.dense
                          ? first_group(1, tasks, &form, i, prior, &work, h, &sums)
                          : first_group(0, tasks, &form, i, prior, &work, h, &sums);
        if (form.dense)
            add_information(1, tasks, &form, g, end, sums.information);
        else
            add_information(0, tasks, &form, g, end, sums.information);
    }
    sum_symmetric(sums.information, p, out);
    sum_all(sums.cross, p * q, out + p * p);
    sum_symmetric(sums.levels, q, out + p * p + p * q);
    sum_all(sums.score, p + q + 1, out + p * p + p * q + q * q);
    free(at);
    return failed;
}
