// Package star is the transport of package ranks for processes that no MPI connects: each is connected with rank 0, which
// passes on what they send each other. It is for messages, such as settings and verdicts, and for the identifier by which the
// ranks of NCCL find each other; the gradients of GPUs go by NCCL.
//
// The connections are sockets that the program passes to the ranks that it starts itself, or made by a Rendezvous: rank 0
// listens at an address until all ranks have come, each of which proves that it knows the token.
//
// A rank whose process ends is noticed at once, because its connection ends; one that hangs, or whose machine has vanished,
// by the signs of life that all send, also while they compute.
package star
