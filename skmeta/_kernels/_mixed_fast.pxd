# cython: language_level=3
"""What `_mixed_fast` knows of C."""

cdef extern from "_mixed.h":
    ctypedef struct MixedRows:
        const double* doubles
        const float* floats
        Py_ssize_t n_features
        const double* y
        const double* weight
        const Py_ssize_t* order
        const Py_ssize_t* starts
        const double* origin

    ctypedef struct MixedUnits:
        const double* mean
        const double* scale
        double target_mean, target_scale, bias

    ctypedef struct MixedTasks:
        Py_ssize_t n_tasks, n_groups, p, q, k
        const Py_ssize_t* task
        const Py_ssize_t* rows
        const Py_ssize_t* data_at
        const Py_ssize_t* kept_at
        double* data
        double* kept
        double v

    ctypedef struct MixedPrior:
        const double* R
        int diagonal
        double v
        const double* beta

    ctypedef struct MixedPosteriors:
        Py_ssize_t n_tasks, k, n_features, line_stride, spread_stride
        const double* factors
        const double* lines
        const double* S
        const double* line_covariance
        double* means
        double* covariances

    ctypedef struct MixedKernel:
        Py_ssize_t n_lanes
        int (*factor)(
            const MixedRows*, const Py_ssize_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
            Py_ssize_t, double*
        ) nogil
        void (*losses)(
            const double*, const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, double*
        ) nogil
        int (*add)(
            Py_ssize_t, Py_ssize_t, Py_ssize_t, double*, const double*
        ) nogil
        int (*sum)(
            const double*, const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
            Py_ssize_t, Py_ssize_t, double*, double*
        ) nogil
        int (*load)(
            const MixedTasks*, const double*, const double*, const double*,
            const MixedUnits*, Py_ssize_t, Py_ssize_t
        ) nogil
        int (*first)(
            const MixedTasks*, const MixedPrior*, Py_ssize_t, Py_ssize_t, double*
        ) nogil
        int (*second)(
            const MixedTasks*, const double*, const double*, int, Py_ssize_t,
            Py_ssize_t, double*
        ) nogil
        int (*pairs)(
            const MixedTasks*, const Py_ssize_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
            double*, double*
        ) nogil
        int (*states)(
            const MixedTasks*, Py_ssize_t, Py_ssize_t, double*, double*
        ) nogil
        int (*solve)(
            const MixedPosteriors*, const MixedUnits*, const MixedPrior*, Py_ssize_t,
            Py_ssize_t
        ) nogil

    const MixedKernel* skmeta_mixed_kernel()
