// Package export writes trained networks for other programs: as ONNX files, which many programs run, and as PyTorch code
// with its weights. Both follow the description that layers give of themselves (package graph).
package export
