/* The task that is learned in units: its coordinates, and its rows in them. */

typedef struct {
    Layout layout;
    Moments before, after; /* the task */
    Coordinates coordinates;
    Deviations sums;
    Reading reading;       /* of rows in blocks; */
    double *X, *y, *weight; /* others are copied */
    Data data;
    Inner inner; /* with the loss in units */
} InUnits;

static Layout layout_of(const Learner *learner)
{
    const ptrdiff_t d = learner->data->X.n_features;
    Layout layout = {learner->inner->n_outputs, d, d, d + 1, d, d + 1};
#ifdef BLOCKS
    if (learner->in_blocks) {
        layout.n_weights = layout.width = learner->shape.padded;
        layout.intercept = learner->shape.intercepts, layout.step = 1;
    }
#endif
    return layout;
}

/* Lets the learner read tasks in units. */
static void begin_units(InUnits *units, Learner *learner)
{
    units->layout = layout_of(learner);
    units->inner = *learner->inner;
    units->data.X.n_features = units->layout.n_weights;
    units->data.n_orders = 1;
    units->reading = (Reading){&units->coordinates, &units->layout};
    learner->inner = &units->inner;
#ifdef BLOCKS
    if (learner->in_blocks) {
        learner->rows = make_shape(units->layout.n_weights, units->layout.n_outputs);
        learner->reading = &units->reading;
        return;
    }
#endif
    learner->data = &units->data;
}

/* Hands out the start of the memory, in whole vectors. With NULL it only counts. */
static double *take(double **memory, ptrdiff_t *size, ptrdiff_t n)
{
    double *taken = *memory;
    *size += (n + 7) / 8 * 8;
    if (taken) *memory += (n + 7) / 8 * 8;
    return taken;
}

static void take_units(
    InUnits *units, const Learner *learner, ptrdiff_t longest_task, double **memory,
    ptrdiff_t *size)
{
    const ptrdiff_t n = n_columns(&units->layout);
    double **const arrays[] = {
        &units->before.mean, &units->before.squares, &units->after.mean,
        &units->after.squares, &units->sums.center, &units->sums.first,
        &units->sums.second, &units->coordinates.location, &units->coordinates.scale,
        &units->coordinates.size, &units->coordinates.shift};
    for (size_t k = 0; k < sizeof(arrays) / sizeof(*arrays); k++)
        *arrays[k] = take(memory, size, n);
    if (learner->data == &units->data)
        units->X = take(memory, size, longest_task * units->layout.n_weights);
    units->y = take(memory, size, longest_task);
    units->weight = take(memory, size, longest_task);
    units->data.X.doubles = units->X, units->data.y = units->y;
}

/* Columns outside are the features, then the target. */
static void read_columns(double *array, const double *outside, const Layout *layout)
{
    const ptrdiff_t d = layout->n_features, head = head_of(layout);
    memcpy(array, outside, head * sizeof(double));
    memcpy(array + layout->n_weights - (d - head), outside + head,
           (d - head) * sizeof(double));
    array[target_at(layout)] = outside[d];
}

static void write_columns(double *outside, const double *array, const Layout *layout)
{
    const ptrdiff_t d = layout->n_features, head = head_of(layout);
    memcpy(outside, array, head * sizeof(double));
    memcpy(outside + head, array + layout->n_weights - (d - head),
           (d - head) * sizeof(double));
    outside[d] = array[target_at(layout)];
}

/* The moments of the tasks so far, an array like `Moments.array` in Python. */
static void read_units(InUnits *units, const double *moments)
{
    const ptrdiff_t d = units->layout.n_features;
    units->before.n_rows = moments[0];
    read_columns(units->before.mean, moments + 1, &units->layout);
    read_columns(units->before.squares, moments + d + 2, &units->layout);
}

static void write_units(const InUnits *units, double *moments)
{
    const ptrdiff_t d = units->layout.n_features;
    moments[0] = units->before.n_rows;
    write_columns(moments + 1, units->before.mean, &units->layout);
    write_columns(moments + d + 2, units->before.squares, &units->layout);
}

/* Fixes the units of a task. Returns whether its rows are finite. */
static int enter_units(
    InUnits *units, const Units *kind, const Data *data, const Inner *inner,
    ptrdiff_t begin, ptrdiff_t end)
{
    const Moments *target = has_varied_target(&units->before, &units->layout)
                                ? &units->before
                                : &units->after;
    Rows rows = {data, &units->layout, begin, end, data->y + begin, NULL};
    if (data->weight) rows.weight = data->weight + begin;
    if (data->order) {
        for (ptrdiff_t position = begin; position < end; position++) {
            const ptrdiff_t i = data->order[position];
            units->y[position - begin] = data->y[i];
            if (data->weight) units->weight[position - begin] = data->weight[i];
        }
        rows.y = units->y;
        if (data->weight) rows.weight = units->weight;
    }
    if (!add_rows_to_moments(&units->sums, &rows, &units->before, &units->after,
                             kind->centers))
        return 0;
    make_coordinates(&units->coordinates, &units->after, kind->degree ? target : NULL,
                     &units->layout);
    if (units->X) standardize_rows(&rows, &units->coordinates, units->X, units->y);
    units->data.X.n_rows = end - begin, units->data.weight = rows.weight;
    if (kind->scales_parameter)
        units->inner.parameter = inner->parameter * (1.0 / units->coordinates.unit);
    return 1;
}

/* The raw loss of a sample over its loss in units. */
static double loss_factor(const InUnits *units, const Units *kind)
{
    const double unit = units->coordinates.unit;
    return kind->degree == 0 ? 1.0 : kind->degree == 1 ? unit : unit * unit;
}

/* The task has been learned: its rows count from now on. */
static void keep_moments(InUnits *units)
{
    const Moments before = units->before;
    units->before = units->after;
    units->after = before;
}
