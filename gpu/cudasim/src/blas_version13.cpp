// cuBLAS 13.0.
extern const int cublasVersionNumber;
const int cublasVersionNumber = 130002;
