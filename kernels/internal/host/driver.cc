// driver.cc: a program that launches host-compiled kernels for a test that talks to it over
// standard input and output, so that a kernel's mistake ends this process and not the test. Buffers are allocated
// exactly, for AddressSanitizer to guard. Commands, a line each:
//
//     A id bytes        allocate a buffer; its content follows the line
//     P id at other off write the address of byte off of another buffer into a buffer, at byte at
//     L name gx gy gz bx by bz shared order n
//                       launch; then n lines, one an argument: b id off | z (null) | i value | f bits
//     R id              answer with the buffer's content
//     S name            answer with a line: the sizes of the kernel's parameters
//     F                 free all buffers
//
// A table of kernels is linked to it: see struct Entry.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

struct Entry {
	const char *name;
	void (*launch)(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, size_t, void **);
	unsigned (*parameters)(unsigned *, unsigned);
};
extern const Entry entries[]; // ends with a null name

extern "C" void host_set_order(int order);

static std::vector<char *> buffers;
static std::vector<size_t> sizes;

[[noreturn]] static void fail(const std::string &what) {
	fprintf(stderr, "driver: %s\n", what.c_str());
	exit(1);
}

static const Entry &find(const char *name) {
	for (const Entry *e = entries; e->name; e++)
		if (!strcmp(e->name, name)) return *e;
	fail(std::string("no kernel ") + name);
}

static char *address(unsigned id, size_t offset) {
	if (id >= buffers.size() || offset > sizes[id]) fail("no such buffer or offset");
	return buffers[id] + offset;
}

static std::string line() {
	std::string s;
	for (int c; (c = getchar()) != '\n';) {
		if (c == EOF) {
			if (s.empty()) exit(0);
			fail("the input ends in a line");
		}
		s += char(c);
	}
	return s;
}

static void launch(const std::string &command) {
	char name[128];
	unsigned g[3], b[3], count;
	size_t shared;
	int order;
	if (sscanf(command.c_str(), "L %127s %u %u %u %u %u %u %zu %d %u", name, g, g + 1, g + 2, b, b + 1, b + 2, &shared, &order, &count) != 10)
		fail(command);
	const Entry &entry = find(name);
	unsigned size[64];
	if (count > 64 || entry.parameters(size, 64) != count) fail(command + ": another number of parameters");
	std::vector<unsigned long long> values(count);
	std::vector<void *> args;
	for (unsigned i = 0; i < count; i++) {
		std::string argument = line();
		unsigned id;
		size_t offset;
		unsigned long long value;
		if (sscanf(argument.c_str(), "b %u %zu", &id, &offset) == 2)
			value = reinterpret_cast<unsigned long long>(address(id, offset));
		else if (argument == "z")
			value = 0;
		else if (sscanf(argument.c_str() + 1, "%llu", &value) != 1)
			fail(argument);
		bool pointer = argument[0] == 'b' || argument[0] == 'z';
		if (size[i] != (pointer ? 8 : 4)) fail(command + ": parameter " + std::to_string(i) + " is given as " + argument);
		values[i] = value; // little-endian: a 4-byte value is in front
		args.push_back(&values[i]);
	}
	host_set_order(order);
	entry.launch(g[0], g[1], g[2], b[0], b[1], b[2], shared, args.data());
}

int main() {
	for (;;) {
		std::string command = line();
		unsigned id, other;
		size_t n, at;
		char name[128];
		if (sscanf(command.c_str(), "A %u %zu", &id, &n) == 2) {
			if (id != buffers.size()) fail(command);
			buffers.push_back(static_cast<char *>(malloc(n)));
			sizes.push_back(n);
			if (fread(buffers[id], 1, n, stdin) != n) fail(command);
		} else if (sscanf(command.c_str(), "P %u %zu %u %zu", &id, &at, &other, &n) == 4) {
			char *to = address(id, at), *target = address(other, n);
			if (at + 8 > sizes[id]) fail(command);
			memcpy(to, &target, 8);
		} else if (command[0] == 'L') {
			launch(command);
		} else if (sscanf(command.c_str(), "R %u", &id) == 1) {
			fwrite(address(id, 0), 1, sizes[id], stdout);
			fflush(stdout);
		} else if (sscanf(command.c_str(), "S %127s", name) == 1) {
			unsigned size[64], count = find(name).parameters(size, 64);
			for (unsigned i = 0; i < count; i++) printf("%u ", size[i]);
			printf("\n");
			fflush(stdout);
		} else if (command == "F") {
			for (char *b : buffers) free(b);
			buffers.clear();
			sizes.clear();
		} else {
			fail(command);
		}
	}
}
