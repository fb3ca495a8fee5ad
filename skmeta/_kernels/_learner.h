/* A learner of one task, sample by sample or in blocks, and parameters in its form. */

typedef struct {
    const Data *data; /* what it learns from */
    const Inner *inner;
    ptrdiff_t longest; /* row */
    ptrdiff_t natural; /* numbers of a parameter outside */
    ptrdiff_t size;    /* and in the loops, where it may be padded */
    int in_blocks;
#ifdef BLOCKS
    Shape shape;            /* of a parameter */
    Shape rows;             /* as it reads them: in units, they are padded, too */
    const Reading *reading; /* in units, or NULL */
#endif
} Learner;

/* `longest` is negative where the rows of X cannot be read. */
static Learner make_learner(
    const Data *data, const Inner *inner, int per_coordinate, ptrdiff_t begin,
    ptrdiff_t end)
{
    Learner learner = {.data = data, .inner = inner};
    learner.longest = longest_row(data, begin, end);
    learner.natural = learner.size = inner->n_outputs * (data->X.n_features + 1);
#ifdef BLOCKS
    learner.in_blocks = !data->X.indices && !per_coordinate && !isfinite(inner->radius)
                        && (inner->n_outputs == 1 || is_margin(inner->loss));
    if (learner.in_blocks) {
        learner.shape = make_shape(data->X.n_features, inner->n_outputs);
        learner.rows = learner.shape;
        learner.size = learner.shape.size;
    }
#else
    (void)per_coordinate;
#endif
    return learner;
}

static ptrdiff_t learner_scratch(const Learner *learner)
{
#ifdef BLOCKS
    if (learner->in_blocks) return blocks_scratch(&learner->rows);
#endif
    const ptrdiff_t buffer = learner->data->X.doubles ? 0 : learner->longest;
    return buffer + samples_scratch(learner->inner, learner->size);
}

INLINE void to_padded(const Learner *learner, double *padded, const double *natural)
{
#ifdef BLOCKS
    if (learner->in_blocks) {
        pack(padded, natural, &learner->shape);
        return;
    }
#endif
    memcpy(padded, natural, learner->size * sizeof(double));
}

INLINE void from_padded(const Learner *learner, double *natural, const double *padded)
{
#ifdef BLOCKS
    if (learner->in_blocks) {
        unpack(natural, padded, &learner->shape);
        return;
    }
#endif
    memcpy(natural, padded, learner->size * sizeof(double));
}

INLINE int learn(const Learner *learner, Task *task, double *scratch)
{
    const Data *data = learner->data;
#ifdef BLOCKS
    if (learner->in_blocks)
        return learn_blocks(data, learner->inner, &learner->rows, learner->reading, task,
                            scratch);
#endif
    double *buffer = scratch + samples_scratch(learner->inner, learner->size);
    return learn_samples(data, learner->inner, task, scratch, buffer);
}

/* The mean iterate in entry j, see `sums_steps`. */
INLINE double mean_iterate(double theta, double steps, double n_steps)
{
    return theta - steps / n_steps;
}
