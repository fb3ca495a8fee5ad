/* The kernels of `_mixed.h` for the instruction set at hand, under the name KERNEL;
 * VECTOR_BYTES is the size of its registers. */
#include "_mixed.h"

#include <stdint.h>

#include "_mixed_lanes.h"

#include "_mixed_factors.h"

#include "_mixed_groups.h"

#include "_mixed_first.h"

#include "_mixed_second.h"

#include "_mixed_posteriors.h"

const MixedKernel KERNEL = {
    LANES,
    factor_tasks, line_losses, add_tasks,   sum_tasks,    load_tasks,
    first_sweep,  second_sweep, pair_sweep, state_sweep, solve_groups,
};
