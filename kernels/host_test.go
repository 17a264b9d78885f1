package kernels_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"trainer/kernels"
)

// The kernels' arithmetic is tested without a GPU: a C++ compiler builds them for the host
// (internal/host/cuda_host.h) into a program that launches kernels for the tests, with AddressSanitizer if the
// compiler has it. Every launch sequence runs twice, with threads and blocks in ascending and in descending
// order, and must give the same bits; a missing __syncthreads would change them.

func TestMain(m *testing.M) {
	code := m.Run()
	if hostFolder != "" {
		os.RemoveAll(hostFolder)
	}
	os.Exit(code)
}

var hostFolder string

// hostProgram builds the program once, and returns its path.
var hostProgram = sync.OnceValues(func() (string, error) {
	compiler, err := findCompiler()
	if err != nil {
		return "", err
	}
	hostFolder, err = os.MkdirTemp("", "kernels")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(hostFolder, kernels.Sources()); err != nil {
		return "", err
	}
	return buildHost(compiler, hostFolder)
})

var errNoCompiler = errors.New("no C++ compiler ($CXX, c++, g++ or clang++): the kernels' arithmetic is not tested")

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

// buildHost compiles every module and the driver, and links them.
func buildHost(compiler, folder string) (string, error) {
	flags := []string{"-std=c++17", "-O0", "-ffp-contract=off", "-I" + folder, "-I" + filepath.Join(folder, "internal/host")}
	if sanitizers := "-fsanitize=address,bounds,alignment,shift,signed-integer-overflow,integer-divide-by-zero"; links(compiler, folder, sanitizers) {
		flags = append(flags, sanitizers, "-fno-sanitize-recover=all")
	}
	driver, err := os.ReadFile("internal/host/driver.cc")
	if err != nil {
		return "", err
	}
	units := map[string]string{"driver": string(driver), "entries": entriesSource()}
	for _, m := range kernels.Modules() {
		units[m.Name] = m.HostSource()
	}
	var objects []string
	var group sync.WaitGroup
	failures := make(chan error, len(units))
	slots := make(chan struct{}, runtime.NumCPU())
	for name, text := range units {
		source, object := filepath.Join(folder, name+".cc"), filepath.Join(folder, name+".o")
		objects = append(objects, object)
		if err := os.WriteFile(source, []byte(text), 0o666); err != nil {
			return "", err
		}
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if out, err := exec.Command(compiler, append(slices.Clone(flags), "-c", source, "-o", object)...).CombinedOutput(); err != nil {
				failures <- fmt.Errorf("compiling %s for the host: %w\n%s", name, err, out)
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return "", err
	default:
	}
	program := filepath.Join(folder, "driver")
	if out, err := exec.Command(compiler, append(append(slices.Clone(flags), objects...), "-o", program)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("linking: %w\n%s", err, out)
	}
	return program, nil
}

// links reports whether the compiler can build a program with an option.
func links(compiler, folder, option string) bool {
	source := filepath.Join(folder, "empty.cc")
	if os.WriteFile(source, []byte("int main() { return 0; }\n"), 0o666) != nil {
		return false
	}
	program := filepath.Join(folder, "empty")
	return exec.Command(compiler, option, source, "-o", program).Run() == nil && exec.Command(program).Run() == nil
}

// entriesSource returns the driver's table of kernels.
func entriesSource() string {
	var declarations, rows strings.Builder
	for _, m := range kernels.Modules() {
		for _, k := range m.Kernels {
			fmt.Fprintf(&declarations, "extern \"C\" void host_launch_%s(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, size_t, void **);\n", k.Name)
			fmt.Fprintf(&declarations, "extern \"C\" unsigned host_parameters_%s(unsigned *, unsigned);\n", k.Name)
			fmt.Fprintf(&rows, "\t{\"%[1]s\", host_launch_%[1]s, host_parameters_%[1]s},\n", k.Name)
		}
	}
	return `#include <cstddef>
struct Entry {
	const char *name;
	void (*launch)(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, size_t, void **);
	unsigned (*parameters)(unsigned *, unsigned);
};
` + declarations.String() + "extern const Entry entries[] = {\n" + rows.String() + "\t{nullptr, nullptr, nullptr},\n};\n"
}

// host is a running driver.
type host struct {
	t       *testing.T
	in      *bufio.Writer
	out     *bufio.Reader
	stop    func() string // ends the process and returns its output
	buffers int
	order   int
}

// startHost skips the test if there is no C++ compiler.
func startHost(t *testing.T) *host {
	t.Helper()
	program, err := hostProgram()
	if errors.Is(err, errNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0")
	var said bytes.Buffer
	command.Stderr = &said
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, in: bufio.NewWriter(in), out: bufio.NewReader(out)}
	h.stop = sync.OnceValue(func() string {
		h.in.Flush()
		in.Close()
		if err := command.Wait(); err != nil {
			return fmt.Sprintf("%v\n%s", err, said.String())
		}
		return ""
	})
	t.Cleanup(func() {
		if failure := h.stop(); failure != "" && !t.Failed() {
			t.Errorf("the kernels' program: %s", failure)
		}
	})
	return h
}

// fail ends the test with the program's output.
func (h *host) fail(err error) {
	h.t.Helper()
	h.t.Fatalf("%v; the kernels' program: %s", err, h.stop())
}

// pointer is an address in a buffer of the driver; null is the null pointer.
type pointer struct {
	id, offset, size int
}

var null = pointer{id: -1}

func (p pointer) plus(bytes int) pointer { return pointer{p.id, p.offset + bytes, p.size} }

// upload creates a buffer.
func (h *host) upload(content []byte) pointer {
	fmt.Fprintf(h.in, "A %d %d\n", h.buffers, len(content))
	h.in.Write(content)
	h.buffers++
	return pointer{h.buffers - 1, 0, len(content)}
}

// uploadAt creates a buffer whose content begins `shift` bytes after an aligned address.
func (h *host) uploadAt(shift int, content []byte) pointer {
	p := h.upload(append(make([]byte, shift), content...))
	return p.plus(shift)
}

// blank creates a buffer of bytes that are NaN in every type.
func (h *host) blank(bytes int) pointer { return h.upload(slices.Repeat([]byte{0xFF}, bytes)) }

// table creates a buffer of rows that hold pointers, then numbers.
func (h *host) table(rows [][]pointer, numbers ...int32) pointer {
	var content []byte
	width := 0
	for i, row := range rows {
		width = 8 * len(row)
		content = append(content, make([]byte, width)...)
		if len(numbers) > 0 {
			content = append(content, int32s(numbers[i], 0)...)
			width += 8
		}
	}
	table := h.upload(content)
	for i, row := range rows {
		for j, p := range row {
			if p != null {
				fmt.Fprintf(h.in, "P %d %d %d %d\n", table.id, i*width+8*j, p.id, p.offset)
			}
		}
	}
	return table
}

// launch launches a kernel. Arguments are pointers, ints and float32.
func (h *host) launch(name kernels.Name, grid kernels.Grid, args ...any) {
	h.t.Helper()
	h.launchBlocks(name, grid, kernels.Threads, args...)
}

func (h *host) launchBlocks(name kernels.Name, grid kernels.Grid, threads int, args ...any) {
	h.t.Helper()
	_, kernel := kernels.Lookup(name)
	if len(args) != len(kernel.Parameters) {
		h.t.Fatalf("%s: %d arguments for %d parameters", name, len(args), len(kernel.Parameters))
	}
	fmt.Fprintf(h.in, "L %s %d %d 1 %d 1 1 0 %d %d\n", name, grid.X, grid.Y, threads, h.order, len(args))
	for i, arg := range args {
		kind := kernels.Int
		switch v := arg.(type) {
		case pointer:
			kind = kernels.Pointer
			if v == null {
				fmt.Fprintln(h.in, "z")
			} else {
				fmt.Fprintln(h.in, "b", v.id, v.offset)
			}
		case int:
			fmt.Fprintln(h.in, "i", uint32(v))
		case bool:
			fmt.Fprintln(h.in, "i", map[bool]int{true: 1}[v])
		case float32:
			kind = kernels.Float
			fmt.Fprintln(h.in, "f", math.Float32bits(v))
		default:
			h.t.Fatalf("%s: argument %d is a %T", name, i, arg)
		}
		if kind != kernel.Parameters[i] {
			h.t.Fatalf("%s: argument %d is given as %v, the kernel wants %v", name, i, kind, kernel.Parameters[i])
		}
	}
}

// read returns a buffer from p on.
func (h *host) read(p pointer) []byte {
	h.t.Helper()
	fmt.Fprintf(h.in, "R %d\n", p.id)
	if err := h.in.Flush(); err != nil {
		h.fail(err)
	}
	content := make([]byte, p.size)
	if _, err := io.ReadFull(h.out, content); err != nil {
		h.fail(err)
	}
	return content[p.offset:]
}

// parameters returns the sizes of a kernel's parameters according to the C++ compiler.
func (h *host) parameters(name kernels.Name) []int {
	h.t.Helper()
	fmt.Fprintf(h.in, "S %s\n", name)
	if err := h.in.Flush(); err != nil {
		h.fail(err)
	}
	line, err := h.out.ReadString('\n')
	if err != nil {
		h.fail(err)
	}
	var sizes []int
	for _, field := range strings.Fields(line) {
		var n int
		fmt.Sscan(field, &n)
		sizes = append(sizes, n)
	}
	return sizes
}

// run calls work in both orders on fresh buffers, and returns the contents of the buffers that work returns,
// which must not depend on the order.
func run(t *testing.T, work func(h *host) []pointer) [][]byte {
	t.Helper()
	h := startHost(t)
	var results [2][][]byte
	for order := range results {
		h.order = order
		for _, p := range work(h) {
			results[order] = append(results[order], h.read(p))
		}
		fmt.Fprintln(h.in, "F")
		h.buffers = 0
	}
	for i := range results[0] {
		if !bytes.Equal(results[0][i], results[1][i]) {
			t.Errorf("result %d depends on the order of the threads", i)
		}
	}
	return results[0]
}

// The compiler and the manifest agree on the number and sizes of every kernel's parameters.
func TestHostParameters(t *testing.T) {
	h := startHost(t)
	for _, m := range kernels.Modules() {
		for _, k := range m.Kernels {
			var want []int
			for _, p := range k.Parameters {
				want = append(want, p.Size())
			}
			if got := h.parameters(k.Name); !slices.Equal(got, want) {
				t.Errorf("%s: the source has parameters of %v bytes, the manifest %v", k.Name, got, want)
			}
		}
	}
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
