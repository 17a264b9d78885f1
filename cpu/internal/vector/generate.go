package vector

//go:generate go -C _generate run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg vector -loops ../activation_loops.go -tables ../activations_amd64.go
