// cuBLAS 12.1.
extern const int cublasVersionNumber;
const int cublasVersionNumber = 120103;
