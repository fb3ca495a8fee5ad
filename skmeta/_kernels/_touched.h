/* The move of the shared initialization on the features of a task alone. */

/* Stored values of the rows of a task. */
static ptrdiff_t count_stored(const Data *data, ptrdiff_t begin, ptrdiff_t end)
{
    ptrdiff_t n = 0;
    if (!data->order) return data->X.indptr[end] - data->X.indptr[begin];
    for (ptrdiff_t position = begin; position < end; position++)
        n += row_length(&data->X, data->order[position]);
    return n;
}

/* A task of few stored values, entry by entry. */
typedef struct {
    double *phi, *theta, *average; /* average may be NULL */
    double *moves;                 /* the sum of the moves of phi times `n_tasks` */
    double n_steps, n_tasks, share;
    double *before; /* of phi and of moves, for every entry as often as it comes */
} Touched;

/* Moves phi[j] by its share of the displacement of the parameter, adds the move to
 * moves[j] and sets theta[j] to phi[j]; returns the displacement. It is zero for an entry
 * that comes again. All is done at once, as it waits for memory. */
INLINE double apply_move(Touched *touched, ptrdiff_t j, const int averages)
{
    const double origin = touched->phi[j], theta = touched->theta[j];
    const double sum = touched->moves[j];
    double displacement = theta - origin;
    if (averages) {
        const double steps = touched->average[j];
        displacement = mean_iterate(theta, steps, touched->n_steps) - origin;
        touched->average[j] = 0.0;
    }
    const double moved = origin + touched->share * displacement;
    *touched->before++ = origin, *touched->before++ = sum;
    touched->theta[j] = touched->phi[j] = moved;
    touched->moves[j] = sum + touched->n_tasks * (moved - origin);
    return displacement;
}

/* Moves all entries; returns the squared distance. */
INLINE double apply_each(
    Touched all, const Learner *learner, const Task *task, const int averages)
{
    const Matrix *X = &learner->data->X;
    const ptrdiff_t d = X->n_features;
    double sums[4] = {0.0};
    for (ptrdiff_t k = 0; k < learner->inner->n_outputs; k++) {
        const ptrdiff_t first = k * (d + 1);
        double displacement = apply_move(&all, first + d, averages);
        sums[0] += displacement * displacement;
        for (ptrdiff_t position = task->begin; position < task->end; position++) {
            const ptrdiff_t i = row_number(learner->data, 0, position);
            const int *column = X->indices + X->indptr[i];
            const ptrdiff_t n = X->indptr[i + 1] - X->indptr[i];
            ptrdiff_t q = 0;
            for (; q + 4 <= n; q += 4) {
#pragma GCC unroll 4
                for (int c = 0; c < 4; c++) {
                    displacement = apply_move(&all, first + column[q + c], averages);
                    sums[c] += displacement * displacement;
                }
            }
            for (; q < n; q++) {
                displacement = apply_move(&all, first + column[q], averages);
                sums[0] += displacement * displacement;
            }
        }
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static double apply_moves(Touched all, const Learner *learner, const Task *task)
{
    return task->average ? apply_each(all, learner, task, 1)
                         : apply_each(all, learner, task, 0);
}

INLINE void undo_move(Touched *touched, ptrdiff_t j)
{
    touched->moves[j] = *--touched->before;
    touched->phi[j] = *--touched->before;
}

/* Takes back what `apply_moves` did to phi and to moves, the last entry first. */
static void undo_moves(Touched all, const Learner *learner, const Task *task)
{
    const Matrix *X = &learner->data->X;
    const ptrdiff_t d = X->n_features, K = learner->inner->n_outputs;
    all.before += 2 * K * (1 + count_stored(learner->data, task->begin, task->end));
    for (ptrdiff_t k = K - 1; k >= 0; k--) {
        const ptrdiff_t first = k * (d + 1);
        for (ptrdiff_t position = task->end - 1; position >= task->begin; position--) {
            const ptrdiff_t i = row_number(learner->data, 0, position);
            for (ptrdiff_t q = X->indptr[i + 1] - 1; q >= X->indptr[i]; q--)
                undo_move(&all, first + X->indices[q]);
        }
        undo_move(&all, first + d);
    }
}
