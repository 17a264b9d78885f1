package cudasim

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"trainer/kernels"
)

//go:embed src/*.cpp src/*.h src/include/*.h
var sources embed.FS

// compileFlags are the flags for every source. Contraction to fused multiply-adds would make
// results depend on the machine.
var compileFlags = []string{"-std=c++17", "-O2", "-ftree-vectorize", "-ffp-contract=off", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra"}

// kernelFlags are further flags for kernels: what C++ leaves undefined, and a GPU may do differently, ends the kernel.
var kernelFlags = []string{"-w", "-fsanitize=bounds,alignment,shift,signed-integer-overflow", "-fsanitize-undefined-trap-on-error"}

// countFlags, instead of kernelFlags, make the compiler call a function before each access to memory (src/journal.cpp).
var countFlags = []string{"-w", "-O1", "-fsanitize=thread"}

// engine is the library with which the others are linked.
const engine = "libcudasim.so"

// library is one shared library: its name, and the sources that go into it, by prefix or name.
type library struct {
	name    string
	sources []string
}

var libraries = []library{
	{engine, []string{"control", "context", "errors", "graph", "journal", "kernels", "memory", "pinned", "product", "ptx", "record", "report", "settings", "stream", "trap", "written"}},
	{Driver, []string{"driver_device", "driver_graph", "driver_library", "driver_memory", "driver_module", "driver_stream"}},
	{CuBLAS12, []string{"blas", "blas_version12"}},
	{CuBLAS13, []string{"blas", "blas_version13"}},
	{CuDNN8, append([]string{"dnn_version8"}, dnnSources...)},
	{CuDNN9, append([]string{"dnn_version9"}, dnnSources...)},
}

// collectives is NCCL. It is not in the list of libraries, because that is part of the key of every build, and builds of
// kernels don't depend on it.
var collectives = library{NCCL, []string{"nccl", "nccl_ranks"}}

var dnnSources = []string{"dnn_backend", "dnn_conv", "dnn_convcalls", "dnn_descriptors", "dnn_graph", "dnn_handle", "dnn_norm", "dnn_pointwise", "dnn_pool", "dnn_tensor"}

// parts are the libraries that a library loads by name.
var parts = map[string][]string{
	CuBLAS12: {"libcublasLt.so.12"},
	CuBLAS13: {"libcublasLt.so.13"},
	CuDNN8:   {"libcudnn_ops_infer.so.8", "libcudnn_ops_train.so.8", "libcudnn_cnn_infer.so.8", "libcudnn_cnn_train.so.8"},
	CuDNN9:   {"libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9"},
}

// builder compiles the emulation and one set of kernels.
type builder struct {
	compiler string
	version  string // output of the compiler's --version
	units    []unit // the kernels' host code
	count    bool   // Options.Count
}

// unit is one translation unit of kernels, and the library that it goes into.
type unit struct{ library, name, source string }

// newBuilder skips the test if nothing can be built.
func newBuilder(t testing.TB) *builder {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skipf("the software CUDA is built on Linux only, this is %s", runtime.GOOS)
	}
	for _, name := range []string{os.Getenv("CXX"), "c++", "g++", "clang++"} {
		path, err := exec.LookPath(name)
		if name == "" || err != nil {
			continue
		}
		version, err := exec.Command(path, "--version").Output()
		if err != nil {
			t.Fatalf("%s --version: %v", path, err)
		}
		return &builder{compiler: path, version: string(version)}
	}
	t.Skip("no C++ compiler ($CXX, c++, g++ or clang++): the software CUDA cannot be built")
	return nil
}

func (b *builder) addKernels(library, name, source string) {
	b.units = append(b.units, unit{library, name, source})
}

// addFile adds the kernels of one CUDA file, each of which begins with a line extern "C" __global__ void NAME(.
func (b *builder) addFile(t testing.TB, file string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	host := "#include \"cuda_host.h\"\n" + string(source)
	for _, line := range strings.Split(string(source), "\n") {
		if name, found := strings.CutPrefix(line, "extern \"C\" __global__ void "); found {
			name, _, _ = strings.Cut(name, "(")
			host += fmt.Sprintf("CUDA_HOST_KERNEL(%s)\n", name)
		}
	}
	name := strings.TrimSuffix(filepath.Base(file), ".cu")
	b.addKernels(name, name, host)
}

// folder builds what is not in the cache, and returns a folder with the requested libraries.
func (b *builder) folder(t testing.TB, o Options) string {
	t.Helper()
	dir, err := b.build(o)
	if err != nil {
		t.Fatalf("building the software CUDA: %v", err)
	}
	return dir
}

func (b *builder) build(o Options) (string, error) {
	cache, err := openCache()
	if err != nil {
		return "", err
	}
	emulation, err := cache.get("emulation", b.key(sources), b.buildEmulation)
	if err != nil {
		return "", err
	}
	b.count = o.Count
	host, err := cache.get("kernels", b.key(kernels.Sources(), b.units, b.kernelFlags()), func(lib string) error { return b.buildKernels(lib, emulation) })
	if err != nil {
		return "", err
	}
	files, err := o.files(emulation)
	if err != nil {
		return "", err
	}
	hosts, err := filepath.Glob(filepath.Join(host, "*.so"))
	if err != nil {
		return "", err
	}
	files = append(files, hosts...)
	slices.Sort(files)
	return cache.get("set", hash(files), func(work string) error {
		for _, f := range files {
			if err := os.Symlink(f, filepath.Join(work, filepath.Base(f))); err != nil {
				return err
			}
		}
		return nil
	})
}

// files returns the libraries that the options choose from the folder of all.
func (o Options) files(all string) ([]string, error) {
	names := o.Libraries
	if names == nil {
		names = []string{Driver, CuBLAS12, CuDNN9, NCCL}
	}
	files := []string{filepath.Join(all, engine)}
	for _, name := range names {
		file := filepath.Join(all, name)
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("there is no library %q to choose: %w", name, err)
		}
		files = append(files, file)
		if o.WithoutParts {
			continue
		}
		for _, part := range parts[name] {
			files = append(files, filepath.Join(all, part))
		}
	}
	return files, nil
}

// key returns a hash of everything that the result of a build depends on: files and other
// values.
func (b *builder) key(all ...any) string {
	values := []any{b.compiler, b.version, compileFlags, kernelFlags, libraries, parts}
	for _, v := range all {
		tree, isTree := v.(fs.FS)
		if !isTree {
			values = append(values, v)
			continue
		}
		// Reading embedded files cannot fail.
		_ = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				text, _ := fs.ReadFile(tree, name)
				values = append(values, name, string(text))
			}
			return err
		})
	}
	return hash(values)
}

func hash(v any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", v))
	return hex.EncodeToString(sum[:])[:20]
}

// buildEmulation builds all libraries except those of the kernels.
func (b *builder) buildEmulation(lib string) error {
	work, err := os.MkdirTemp("", "cudasim")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(work, sources); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(work, "src", "*.cpp"))
	if err != nil {
		return err
	}
	var commands [][]string
	for _, f := range files {
		commands = append(commands, b.compile(f))
	}
	if err := parallel(commands); err != nil {
		return err
	}
	object := func(name string) string { return filepath.Join(work, "src", name+".o") }
	commands = nil
	for _, l := range append(slices.Clone(libraries), collectives) {
		var objects []string
		for _, s := range l.sources {
			objects = append(objects, object(s))
		}
		if l.name == engine {
			if err := parallel([][]string{b.link(lib, l.name, objects)}); err != nil {
				return err
			}
			continue
		}
		commands = append(commands, b.link(lib, l.name, append(objects, filepath.Join(lib, engine))))
	}
	for _, names := range parts {
		for _, name := range names {
			commands = append(commands, b.link(lib, name, []string{object("part")}))
		}
	}
	return parallel(commands)
}

// kernelFlags returns the flags for kernels.
func (b *builder) kernelFlags() []string {
	if b.count {
		return slices.Clone(countFlags)
	}
	return slices.Clone(kernelFlags)
}

// buildKernels builds the libraries of the kernels' host code. If accesses are counted, they call the engine of the emulation.
func (b *builder) buildKernels(lib, emulation string) error {
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	objects := make([]string, len(b.units))
	for i, u := range b.units {
		group.Go(func() (err error) {
			objects[i], err = b.object(u)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	inputs := map[string][]string{}
	for i, u := range b.units {
		inputs[u.library] = append(inputs[u.library], objects[i])
	}
	var commands [][]string
	for name, o := range inputs {
		if b.count {
			o = append(o, filepath.Join(emulation, engine))
		}
		commands = append(commands, b.link(lib, "libkernels_"+name+".so", o))
	}
	return parallel(commands)
}

// object compiles a unit, unless it is in the cache: a changed source costs the compilation of the units that include it.
func (b *builder) object(u unit) (string, error) {
	cache, err := openCache()
	if err != nil {
		return "", err
	}
	files, err := included(u.source, kernels.Sources())
	if err != nil {
		return "", err
	}
	const source = "unit.cpp"
	dir, err := cache.get("unit", b.unitKey(u, files), func(work string) error {
		sources := filepath.Join(work, "sources") // with nothing that is not part of the key
		if err := os.CopyFS(sources, files); err != nil {
			return err
		}
		defer os.RemoveAll(sources)
		file := filepath.Join(work, source)
		if err := os.WriteFile(file, []byte(u.source), 0o666); err != nil {
			return err
		}
		return execute(b.compile(file, append(b.kernelFlags(), "-I"+sources, "-I"+filepath.Join(sources, hostFolder))...))
	})
	return filepath.Join(dir, "unit.o"), err
}

// unitKey returns the key of a unit that includes these files.
func (b *builder) unitKey(u unit, files fs.FS) string { return b.key(files, u, b.kernelFlags()) }

// compile returns the command that compiles a source to an object file next to it.
func (b *builder) compile(source string, more ...string) []string {
	return slices.Concat([]string{b.compiler}, compileFlags, more, []string{"-c", source, "-o", strings.TrimSuffix(source, ".cpp") + ".o"})
}

// link returns the command that links a library, which loads the engine from its own folder.
func (b *builder) link(dir, name string, objects []string) []string {
	return slices.Concat([]string{b.compiler, "-shared", "-pthread", "-Wl,-soname," + name, "-Wl,-rpath,$ORIGIN", "-Wl,--no-undefined",
		"-o", filepath.Join(dir, name)}, objects, []string{"-ldl"})
}

// parallel runs commands, and returns the first failure.
func parallel(commands [][]string) error {
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for _, c := range commands {
		group.Go(func() error { return execute(c) })
	}
	return group.Wait()
}

// execute runs a command. Its error has the command's output.
func execute(c []string) error {
	out, err := exec.Command(c[0], c[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, out)
	}
	return nil
}
