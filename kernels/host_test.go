package kernels_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"trainer/kernels"
)

// The kernels' arithmetic is tested without a GPU: gpu/cudasim compiles them for the host with internal/host/cuda_host.h,
// and TestConformance of package gpu launches every one of them. This file tests the header.

var errNoCompiler = errors.New("no C++ compiler ($CXX, c++, g++ or clang++): the header of the kernels' host code is not tested")

func findCompiler() (string, error) {
	if runtime.GOOS == "windows" {
		return "", errNoCompiler
	}
	for _, name := range []string{os.Getenv("CXX"), "c++", "g++", "clang++"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path, nil
		}
	}
	return "", errNoCompiler
}

// The source for the test of the header itself: each kernel makes one mistake.
const mistakes = `#include "cuda_host.h"
#include <cstdio>
extern "C" __global__ void half_barrier(int *) { if (threadIdx.x < 5) __syncthreads(); }
extern "C" __global__ void half_shuffle(int *x) { if (threadIdx.x < 16) *x = __shfl_xor_sync(0xFFFFFFFFu, 1, 1); }
extern "C" __global__ void short_warp(int *x) { *x = __shfl_xor_sync(0xFFFFFFFFu, 1, 1); }
extern "C" __global__ void reversed(int *x) {
	DYNAMIC_SHARED(int, shared);
	shared[threadIdx.x] = threadIdx.x;
	__syncthreads();
	int other = __shfl_down_sync(0xFFFFFFFFu, shared[blockDim.x - 1 - threadIdx.x], 1);
	x[blockIdx.x * blockDim.x + threadIdx.x] = 1000 * other + __shfl_sync(0xFFFFFFFFu, (int)threadIdx.x, 3);
}
CUDA_HOST_KERNEL(half_barrier)
CUDA_HOST_KERNEL(half_shuffle)
CUDA_HOST_KERNEL(short_warp)
CUDA_HOST_KERNEL(reversed)
int main(int, char **argv) {
	int x[128], *p = x;
	void *args[] = {&p};
	switch (argv[1][0]) {
	case '0': host_launch_half_barrier(1, 1, 1, 64, 1, 1, 0, args); break;
	case '1': host_launch_half_shuffle(1, 1, 1, 64, 1, 1, 0, args); break;
	case '2': host_launch_short_warp(1, 1, 1, 40, 1, 1, 0, args); break;
	case '3': host_launch_short_warp(1, 1, 1, 2048, 1, 1, 0, args); break;
	default:
		host_set_order(argv[1][0] == '5');
		host_launch_reversed(2, 1, 1, 64, 1, 1, 256, args);
		for (int v : x) printf("%d ", v);
	}
}
`

func TestHostHeader(t *testing.T) {
	compiler, err := findCompiler()
	if err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	header, err := fs.Sub(kernels.Sources(), "internal/host")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(folder, header); err != nil {
		t.Fatal(err)
	}
	source, program := filepath.Join(folder, "mistakes.cc"), filepath.Join(folder, "mistakes")
	if err := os.WriteFile(source, []byte(mistakes), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(compiler, "-std=c++17", "-O2", source, "-o", program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for argument, want := range map[string]string{
		"0": "half_barrier: block (0,0,0) of 64 threads: 5 wait at __syncthreads and 0 at a shuffle for others; 59 have ended",
		"1": "half_shuffle: block (0,0,0) of 64 threads: 0 wait at __syncthreads and 16 at a shuffle for others; 48 have ended",
		"2": "short_warp: a shuffle with mask 0xffffffff in warp 1 of a block of 40 threads, want full warps",
		"3": "short_warp: blocks of 2048 x 1 x 1 threads, want 1 to 1024 together, and z at most 64",
	} {
		out, err := exec.Command(program, argument).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("mistake %s: %v, %q; want %q", argument, err, out, want)
		}
	}
	var want strings.Builder
	for range 2 {
		for i := range 64 {
			from := i + 1 // the last lane of a warp keeps its own value
			if i%32 == 31 {
				from = i
			}
			fmt.Fprintf(&want, "%d ", 1000*(63-from)+i/32*32+3)
		}
	}
	for _, order := range []string{"4", "5"} {
		if out, err := exec.Command(program, order).Output(); err != nil || string(out) != want.String() {
			t.Errorf("order %s: %v\n%s\nwant\n%s", order, err, out, want.String())
		}
	}
}
