// Reads from PTX what a launch can be checked against: the entries, the sizes of their parameters, their shared
// memory, and which parameters are addresses that are read or written. Nothing here runs PTX.
//
// Addresses are followed through registers, regardless of the order of instructions: a register computed from
// another may hold whatever the other may hold. Values loaded from memory are not followed.
#include "ptx.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

namespace sim {

namespace {

std::string trim(const std::string &s) {
	size_t from = s.find_first_not_of(" \t\r\n"), to = s.find_last_not_of(" \t\r\n");
	return from == std::string::npos ? "" : s.substr(from, to - from + 1);
}

std::string withoutComments(const std::string &s) {
	std::string out;
	for (size_t i = 0; i < s.size(); i++) {
		if (s.compare(i, 2, "//") == 0) {
			while (i < s.size() && s[i] != '\n') i++;
			out += '\n';
		} else if (s.compare(i, 2, "/*") == 0) {
			size_t end = s.find("*/", i + 2);
			i = end == std::string::npos ? s.size() : end + 1;
		} else {
			out += s[i];
		}
	}
	return out;
}

std::vector<std::string> words(const std::string &s, const char *separators) {
	std::vector<std::string> all;
	size_t from = s.find_first_not_of(separators);
	while (from != std::string::npos) {
		size_t to = s.find_first_of(separators, from);
		all.push_back(s.substr(from, to == std::string::npos ? to : to - from));
		from = to == std::string::npos ? to : s.find_first_not_of(separators, to);
	}
	return all;
}

// typeBytes is the size of .u64, .f32, .b8 and the like; 0 for no type.
unsigned typeBytes(const std::string &t) {
	if (t == ".f16x2") return 4;
	if (t.size() < 3 || t[0] != '.' || !strchr("usfb", t[1])) return 0;
	int bits = atoi(t.c_str() + 2);
	return bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128 ? unsigned(bits) / 8 : 0;
}

// variable reads "… .align 4 .b8 name[64]" and returns its bytes and name.
unsigned variable(const std::string &declaration, std::string *name) {
	unsigned bytes = 0;
	for (const std::string &w : words(declaration, " \t\r\n")) {
		if (unsigned b = typeBytes(w)) bytes = b;
		else if (w[0] != '.') *name = w;
	}
	size_t bracket = name->find('[');
	if (bracket == std::string::npos) return bytes;
	bytes *= unsigned(atoi(name->c_str() + bracket + 1));
	*name = name->substr(0, bracket);
	return bytes;
}

using Places = std::set<unsigned>; // indices into Entry::pointers

// Flow follows addresses through one entry's registers.
struct Flow {
	Entry &entry;
	std::map<std::string, std::pair<unsigned, unsigned>> parameters; // register: parameter, offset
	std::map<std::string, Places> held;                             // register: what it may hold

	unsigned place(unsigned parameter, unsigned offset) {
		for (unsigned i = 0; i < entry.pointers.size(); i++)
			if (entry.pointers[i].parameter == parameter && entry.pointers[i].offset == offset) return i;
		entry.pointers.push_back({parameter, offset});
		return unsigned(entry.pointers.size() - 1);
	}

	// load notes "ld.param.u64 %rd1, [kernel_param_2+8]".
	void load(const std::string &destination, const std::string &source) {
		size_t mark = source.rfind("_param_");
		if (mark == std::string::npos) return;
		unsigned parameter = unsigned(atoi(source.c_str() + mark + 7));
		size_t plus = source.find('+', mark);
		unsigned offset = plus == std::string::npos ? 0 : unsigned(atoi(source.c_str() + plus + 1));
		parameters[destination] = {parameter, offset};
	}

	bool add(const std::string &destination, const Places &more) {
		Places &p = held[destination];
		size_t before = p.size();
		p.insert(more.begin(), more.end());
		return p.size() != before;
	}
};

struct Instruction {
	std::string op;
	std::vector<std::string> operands;
	std::string address; // the register in brackets
};

Instruction parseInstruction(const std::string &statement) {
	Instruction i;
	std::string s = statement;
	// Braces that open or close a block are not part of an instruction.
	s.erase(0, std::min(s.find_first_not_of(" \t\r\n{}"), s.size()));
	if (!s.empty() && s[0] == '@') s = trim(s.substr(std::min(s.find_first_of(" \t"), s.size())));
	size_t space = s.find_first_of(" \t");
	i.op = s.substr(0, space);
	if (space == std::string::npos) return i;
	i.operands = words(s.substr(space), ", \t\r\n{}[]");
	size_t bracket = s.find('[');
	if (bracket != std::string::npos) i.address = s.substr(bracket + 1, s.find_first_of("]+", bracket) - bracket - 1);
	return i;
}

bool begins(const std::string &s, const char *with) { return s.rfind(with, 0) == 0; }

// follow finds the entry's pointer parameters and what it does with them.
void follow(Entry &entry, const std::vector<Instruction> &code) {
	Flow f{entry, {}, {}};
	for (const Instruction &i : code) {
		if (i.operands.size() < 2) continue;
		if (begins(i.op, "ld.param.")) {
			for (size_t k = 0; k + 1 < i.operands.size(); k++) {
				f.load(i.operands[k], i.operands.back());
				if (f.parameters.count(i.operands[k])) f.parameters[i.operands[k]].second += unsigned(8 * k);
			}
		}
		if (begins(i.op, "cvta.to.global")) {
			auto p = f.parameters.find(i.operands[1]);
			if (p != f.parameters.end()) f.add(i.operands[0], {f.place(p->second.first, p->second.second)});
		}
	}
	for (bool changed = true; changed;) {
		changed = false;
		for (const Instruction &i : code) {
			if (i.operands.size() < 2 || begins(i.op, "ld.") || begins(i.op, "st.") || begins(i.op, "atom") || begins(i.op, "setp")) continue;
			for (size_t k = 1; k < i.operands.size(); k++) {
				auto h = f.held.find(i.operands[k]);
				if (h == f.held.end() || h->second.empty()) continue;
				Places copy = h->second;
				changed |= f.add(i.operands[0], copy);
			}
		}
	}
	for (const Instruction &i : code) {
		bool load = begins(i.op, "ld.global") || begins(i.op, "ld.volatile.global") || begins(i.op, "ld.relaxed");
		bool store = begins(i.op, "st.global") || begins(i.op, "st.volatile.global") || begins(i.op, "red.") || begins(i.op, "st.relaxed");
		bool both = begins(i.op, "atom");
		if (!load && !store && !both) continue;
		auto h = f.held.find(trim(i.address));
		if (h == f.held.end()) continue;
		for (unsigned p : h->second) {
			entry.pointers[p].read |= load || both;
			entry.pointers[p].written |= store || both;
		}
	}
}

void parseBody(Entry &entry, const std::string &body, const std::map<std::string, unsigned> &moduleShared) {
	std::vector<Instruction> code;
	for (std::string statement : words(body, ";")) {
		statement = trim(statement);
		if (begins(statement, ".shared")) {
			std::string name;
			entry.sharedBytes += variable(statement, &name);
			continue;
		}
		// A label may precede an instruction.
		size_t label = statement.find(":\n");
		if (label == std::string::npos) label = statement.find(": ");
		if (label != std::string::npos) statement = trim(statement.substr(label + 1));
		if (statement.empty() || statement[0] == '.') continue;
		code.push_back(parseInstruction(statement));
	}
	for (auto &[name, bytes] : moduleShared)
		if (body.find(name) != std::string::npos) entry.sharedBytes += bytes;
	follow(entry, code);
}

size_t matching(const std::string &s, size_t open, char opening, char closing) {
	int depth = 0;
	for (size_t i = open; i < s.size(); i++) {
		if (s[i] == opening) depth++;
		if (s[i] == closing && --depth == 0) return i;
	}
	return std::string::npos;
}

unsigned product(const std::string &s) {
	unsigned n = 1;
	for (const std::string &w : words(s, ", \t\r\n")) {
		if (!isdigit((unsigned char)w[0])) break;
		n *= unsigned(atoi(w.c_str()));
	}
	return n;
}

// parseEntry reads the entry whose name begins at `at`, and returns where it ends.
std::string parseEntry(const std::string &s, size_t at, const std::map<std::string, unsigned> &moduleShared, Ptx *ptx, size_t *end) {
	size_t body = s.find('{', at);
	size_t nameEnd = s.find_first_of("( \t\r\n{", at);
	if (body == std::string::npos) return "an entry without a body";
	Entry e;
	e.name = s.substr(at, nameEnd - at);
	size_t open = s.find('(', at);
	if (open != std::string::npos && open < body) {
		size_t close = matching(s, open, '(', ')');
		if (close == std::string::npos) return "entry " + e.name + ": its parameters do not end";
		for (const std::string &p : words(s.substr(open + 1, close - open - 1), ",")) {
			if (trim(p).empty()) continue;
			std::string name;
			unsigned bytes = variable(p, &name);
			if (bytes == 0) return "entry " + e.name + ": a parameter without a size: " + trim(p);
			e.sizes.push_back(bytes);
		}
		body = s.find('{', close);
		std::string directives = s.substr(close + 1, body - close - 1);
		for (const char *d : {".maxntid", ".reqntid"}) {
			size_t i = directives.find(d);
			if (i != std::string::npos) e.maxThreads = product(directives.substr(i + strlen(d)));
		}
	}
	*end = matching(s, body, '{', '}');
	if (*end == std::string::npos) return "entry " + e.name + ": its body does not end";
	std::string inner = s.substr(body + 1, *end - body - 1);
	// Nested braces group operands and statements; they are ignored here.
	parseBody(e, inner, moduleShared);
	ptx->entries.push_back(std::move(e));
	return "";
}

// moduleVariables finds the .shared variables outside the entries.
std::map<std::string, unsigned> moduleVariables(const std::string &s) {
	std::map<std::string, unsigned> all;
	int depth = 0;
	std::string statement;
	for (char c : s) {
		if (c == '{') depth++;
		if (depth == 0 && c != ';') statement += c;
		if (c == '}') depth--;
		if ((depth == 0 && c == ';') || c == '}') {
			size_t shared = statement.find(".shared");
			if (shared != std::string::npos && statement.find(".extern") == std::string::npos) {
				std::string name;
				unsigned bytes = variable(statement.substr(shared), &name);
				all[name] = bytes;
			}
			statement.clear();
		}
	}
	return all;
}

} // namespace

std::string parsePtx(const std::string &text, Ptx *ptx) {
	std::string s = withoutComments(text);
	size_t version = s.find(".version"), target = s.find(".target");
	if (version == std::string::npos || target == std::string::npos) return "no .version and .target: this is no PTX";
	double v = atof(s.c_str() + version + 8);
	ptx->version = int(v * 10 + 0.5);
	size_t sm = s.find("sm_", target);
	if (sm == std::string::npos) return "no sm_ in .target";
	ptx->target = atoi(s.c_str() + sm + 3);
	auto shared = moduleVariables(s);
	for (size_t at = s.find(".entry"); at != std::string::npos; at = s.find(".entry", at)) {
		at = s.find_first_not_of(" \t\r\n", at + 6);
		if (at == std::string::npos) return "an entry without a name";
		size_t end = 0;
		std::string wrong = parseEntry(s, at, shared, ptx, &end);
		if (!wrong.empty()) return wrong;
		at = end;
	}
	return "";
}

} // namespace sim
