package winograd

//go:generate go -C _generate run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg winograd
