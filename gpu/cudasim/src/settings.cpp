// Settings and faults on demand. Both are written as text, in the environment variable CUDASIM or in a
// call of cudasimConfigure:
//
//     devices=2; memory=512MiB; fail=cuMemAlloc_v2#3:OUT_OF_MEMORY; fail=cudnnConvolutionForward#1+:NOT_SUPPORTED
#include "sim.h"

#include <cctype>
#include <cstdlib>

namespace sim {

namespace {

struct Armed {
	std::string function;
	uint64_t nth = 1;
	bool after = false; // this call and all after it
	Fault fault;
	uint64_t seen = 0;
};

// The engine's lock guards both tables, except while static objects add entries when the libraries are
// loaded, which is before any call.
std::vector<Armed> &armed() {
	static auto *a = new std::vector<Armed>;
	return *a;
}

std::map<std::string, Function *> &functions() {
	static auto *f = new std::map<std::string, Function *>;
	return *f;
}

std::mutex &functionsMutex() {
	static auto *m = new std::mutex;
	return *m;
}

// launches counts the launches of each kernel, under functionsMutex.
std::map<std::string, uint64_t> &launches() {
	static auto *l = new std::map<std::string, uint64_t>;
	return *l;
}

std::string trim(const std::string &s) {
	size_t from = s.find_first_not_of(" \t\r\n"), to = s.find_last_not_of(" \t\r\n");
	return from == std::string::npos ? "" : s.substr(from, to - from + 1);
}

bool parseNumber(const std::string &s, long long *n) {
	char *end;
	*n = strtoll(s.c_str(), &end, 10);
	return !s.empty() && *end == 0 && *n >= 0;
}

bool parseSize(const std::string &s, size_t *n) {
	char *end;
	unsigned long long v = strtoull(s.c_str(), &end, 10);
	std::string unit = end;
	unsigned shift = unit == "" ? 0 : unit == "KiB" ? 10 : unit == "MiB" ? 20 : unit == "GiB" ? 30 : 64;
	if (end == s.c_str() || shift == 64) return false;
	*n = size_t(v) << shift;
	return true;
}

bool isDriver(const std::string &function) {
	bool library = function.rfind("cublas", 0) == 0 || function.rfind("cudnn", 0) == 0 || function.rfind("nccl", 0) == 0;
	return !library;
}

std::string parseFault(const std::string &value) {
	Armed a;
	size_t colon = value.rfind(':');
	if (colon == std::string::npos) return "fail=" + value + ": want FUNCTION#N:CODE";
	std::string code = trim(value.substr(colon + 1)), name = trim(value.substr(0, colon));
	size_t hash = name.find('#');
	if (hash != std::string::npos) {
		std::string count = name.substr(hash + 1);
		name = name.substr(0, hash);
		if (!count.empty() && count.back() == '+') {
			a.after = true;
			count.pop_back();
		}
		long long n;
		if (!parseNumber(count, &n) || n < 1) return "fail=" + value + ": want a number from 1 after #";
		a.nth = uint64_t(n);
	}
	a.function = name;
	a.fault.code = code;
	a.fault.driver = isDriver(name) || code.rfind("CUDA_ERROR_", 0) == 0 || code == "LOST";
	a.fault.lost = code == "LOST";
	long long n;
	if (a.fault.lost) {
		a.fault.number = CUDA_ERROR_UNKNOWN;
	} else if (parseNumber(code, &n)) {
		a.fault.number = int(n);
	} else if (a.fault.driver) {
		auto r = errorNamed(code);
		if (!r) return "fail=" + value + ": the driver has no error " + code;
		a.fault.number = *r;
	}
	armed().push_back(a);
	return "";
}

// parseSlow reads FUNCTION:MICROSECONDS.
std::string parseSlow(Settings &s, const std::string &value) {
	size_t colon = value.rfind(':');
	long long n;
	if (colon == std::string::npos || !parseNumber(trim(value.substr(colon + 1)), &n)) return "slow=" + value + ": want FUNCTION:MICROSECONDS";
	s.slow[trim(value.substr(0, colon))] = unsigned(n);
	return "";
}

// parseAttribute reads NUMBER:VALUE.
std::string parseAttribute(Settings &s, const std::string &value) {
	size_t colon = value.rfind(':');
	long long number, answer;
	if (colon == std::string::npos || !parseNumber(trim(value.substr(0, colon)), &number) || !parseNumber(trim(value.substr(colon + 1)), &answer))
		return "attribute=" + value + ": want NUMBER:VALUE";
	s.attributes[int(number)] = int(answer);
	return "";
}

// parsePeer reads KIND:RANK#N.
std::string parsePeer(Settings &s, const std::string &value) {
	size_t colon = value.find(':'), hash = value.find('#');
	long long rank, number;
	std::string kind = value.substr(0, colon);
	if (colon == std::string::npos || hash == std::string::npos || hash < colon || (kind != "die" && kind != "hang" && kind != "mismatch") ||
		!parseNumber(value.substr(colon + 1, hash - colon - 1), &rank) || !parseNumber(value.substr(hash + 1), &number) || number < 1)
		return "peer=" + value + ": want die, hang or mismatch, as in die:RANK#N";
	s.peerFault = kind, s.peer = int(rank), s.peerCall = uint64_t(number);
	return "";
}

std::string parseSetting(Settings &s, const std::string &key, const std::string &value) {
	long long n = 0;
	bool number = parseNumber(value, &n);
	std::string bad = key + "=" + value + ": ";
	if (key == "fail") return parseFault(value);
	if (key == "slow") return parseSlow(s, value);
	if (key == "peer") return parsePeer(s, value);
	if (key == "kernels") return s.kernels = value, "";
	if (key == "report") return s.report = value, "";
	if (key == "memory") return parseSize(value, &s.memory) ? "" : bad + "want bytes, KiB, MiB or GiB";
	if (key == "used") return parseSize(value, &s.used) ? "" : bad + "want bytes, KiB, MiB or GiB";
	if (key == "busy" && value.empty()) return s.busy = allDevices, "";
	if (key == "attribute") return parseAttribute(s, value);
	if (!number) return bad + "want a number";
	if (key == "devices") return s.devices = int(n), "";
	if (key == "driver") return s.driver = int(n), "";
	if (key == "cc") return s.cc = int(n), "";
	if (key == "cubins") return s.cubins = int(n), "";
	if (key == "busy") return s.busy = int(n), "";
	if (key == "cudnn") return s.cudnn = int(n), "";
	if (key == "nccl") return s.nccl = int(n), "";
	if (key == "delay") return s.delay = unsigned(n), "";
	if (key == "order") return s.order = int(n), "";
	if (key == "dry") return s.dry = int(n), "";
	return bad + "no such setting; there are devices, memory, used, busy, driver, cc, cubins, attribute, cudnn, nccl, delay, slow, peer, order, dry, kernels, report and fail";
}

} // namespace

Function::Function(const char *n) : name(n) {
	std::lock_guard<std::mutex> hold(functionsMutex());
	functions()[name] = this;
}

std::string configure(const std::string &settings) {
	Settings s = engine().settings;
	size_t from = 0;
	while (from <= settings.size()) {
		size_t to = settings.find_first_of(";\n", from);
		if (to == std::string::npos) to = settings.size();
		std::string one = trim(settings.substr(from, to - from));
		from = to + 1;
		if (one.empty()) continue;
		size_t equals = one.find('=');
		std::string key = trim(one.substr(0, equals)), value = equals == std::string::npos ? "" : trim(one.substr(equals + 1));
		std::string wrong = parseSetting(s, key, value);
		if (!wrong.empty()) return wrong;
	}
	engine().settings = s;
	return "";
}

std::optional<Fault> faultFor(const std::string &name) {
	std::optional<Fault> hit;
	for (Armed &a : armed()) {
		if (a.function != name) continue;
		a.seen++;
		if (a.seen == a.nth || (a.after && a.seen > a.nth)) hit = a.fault;
	}
	return hit;
}

void disarm() { armed().clear(); }

uint64_t callsOf(const std::string &name) {
	std::lock_guard<std::mutex> hold(functionsMutex());
	auto f = functions().find(name);
	if (f != functions().end()) return f->second->calls;
	auto k = launches().find(name);
	return k == launches().end() ? 0 : k->second;
}

void countLaunch(const std::string &kernel) {
	std::lock_guard<std::mutex> hold(functionsMutex());
	launches()[kernel]++;
}

} // namespace sim
