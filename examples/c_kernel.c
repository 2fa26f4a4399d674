/* y = tanh(W x), and its backward; W is (M, N), row major. */
#include <math.h>

void layer_forward(int M, int N, const double *W, const double *x, double *y) {
    for (int m = 0; m < M; m++) {
        double a = 0;
        for (int n = 0; n < N; n++) a += W[m * N + n] * x[n];
        y[m] = tanh(a);
    }
}

void layer_backward(int M, int N, const double *W, const double *x, const double *y, const double *dy, double *dW,
                    double *dx) {
    for (int n = 0; n < N; n++) dx[n] = 0;
    for (int m = 0; m < M; m++) {
        double da = dy[m] * (1 - y[m] * y[m]);
        for (int n = 0; n < N; n++) {
            dW[m * N + n] = da * x[n];
            dx[n] += da * W[m * N + n];
        }
    }
}
