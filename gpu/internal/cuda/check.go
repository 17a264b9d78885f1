//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "shim.h"
import "C"

import (
	"errors"
	"reflect"
	"strings"
)

// Check returns nil for nil. For an error of gorgonia's it returns an *Error with the function
// that failed and the library's own status, which the shim recorded for this thread. Any other
// error is returned unchanged. The goroutine must be locked to its thread between the call and
// Check. doing names the operation; it may be "".
func Check(doing string, err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		// gorgonia's three types of status are unexported integers.
		if v := reflect.ValueOf(e); v.Kind() == reflect.Int {
			return lastFailure(doing, vendorOf(v.Type().PkgPath()), int(v.Int()))
		}
	}
	return err
}

// vendorOf returns the library behind one of gorgonia's packages.
func vendorOf(pkg string) *vendorLibrary {
	switch pkg {
	case "gorgonia.org/cu/blas":
		return blas
	case "gorgonia.org/cu/dnn":
		return dnn
	}
	return driver
}

// lastFailure makes an *Error from a status and the shim's record of it. gorgonia maps statuses
// that it doesn't know to another one; the shim's status, if it has one for the library, is right.
func lastFailure(doing string, l *vendorLibrary, code int) error {
	var function, detail string
	var absent bool
	if f := C.shim_last(); f.status != 0 && C.enum_library(f.library) == l.id {
		code, function, absent = int(f.status), C.GoString(f.function), f.absent != 0
	}
	if absent {
		detail = l.absence(function)
	} else if l == dnn {
		var message [512]C.char
		C.shim_cudnn_message(&message[0], C.size_t(len(message)))
		detail = oneLine(C.GoString(&message[0])) // for graphs the message has many lines
	}
	e := newError(l.numbering(), function, doing, code, detail)
	e.absent = absent
	return e
}

// oneLine puts a library's text in one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// absence says why a function is missing.
func (l *vendorLibrary) absence(function string) string {
	mutex.Lock()
	defer mutex.Unlock()
	switch {
	case !l.tried:
		return l.name + " isn't loaded yet"
	case l.err != nil:
		return l.err.Error()
	}
	return l.info.File + " has no function " + function
}

// numbering returns the Library of an Error, which decides the meaning of its code.
func (l *vendorLibrary) numbering() string {
	switch l {
	case driver:
		return CUDA
	case blas:
		return CuBLAS
	case nccl:
		return NCCL
	}
	if CuDNNVersion() >= 9000 {
		return CuDNN9
	}
	return CuDNN8
}

// cudaError, cublasError and cudnnError return nil for success, and otherwise an *Error with
// the function that the shim saw fail.
func cudaError(doing string, status C.CUresult) error {
	if status == C.CUDA_SUCCESS {
		return nil
	}
	return lastFailure(doing, driver, int(status))
}

func cublasError(doing string, status C.cublasStatus_t) error {
	if status == C.CUBLAS_STATUS_SUCCESS {
		return nil
	}
	return lastFailure(doing, blas, int(status))
}

func cudnnError(doing string, status C.cudnnStatus_t) error {
	if status == C.CUDNN_STATUS_SUCCESS {
		return nil
	}
	return lastFailure(doing, dnn, int(status))
}
