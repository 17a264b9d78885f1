// One of the libraries that cuDNN is made of. It exists only to be found.
extern "C" __attribute__((visibility("default"))) int cudasimPart(void);
int cudasimPart(void) { return 1; }
