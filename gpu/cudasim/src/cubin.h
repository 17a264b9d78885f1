// cubin.h: what a cubin says about itself. A cubin is an ELF file with the machine code of each kernel in a section
// ".text.KERNEL"; nothing here runs it.
#pragma once
#include <cstring>
#include <elf.h>
#include <string>
#include <vector>

namespace sim {

struct Cubin {
	int target = 0; // 80 for sm_80
	std::vector<std::string> kernels;
};

// isCubin reports whether the image of a module is a cubin.
inline bool isCubin(const void *image) { return memcmp(image, ELFMAG, SELFMAG) == 0; }

// parseCubin reads a cubin, whose length it finds in the cubin itself. It returns an error message, or an empty string.
inline std::string parseCubin(const void *image, Cubin *cubin) {
	const char *bytes = static_cast<const char *>(image);
	Elf64_Ehdr header;
	memcpy(&header, bytes, sizeof header);
	const unsigned char machine = 190; // EM_CUDA
	if (header.e_machine != machine || header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum) return "no cubin, but another ELF file";
	// From compute capability 10.0 on the flags begin with other ones.
	cubin->target = int((header.e_ident[EI_ABIVERSION] >= 8 ? header.e_flags >> 8 : header.e_flags) & 0xff);
	std::vector<Elf64_Shdr> sections(header.e_shnum);
	memcpy(sections.data(), bytes + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
	const char *names = bytes + sections[header.e_shstrndx].sh_offset;
	const std::string text = ".text.";
	for (const Elf64_Shdr &s : sections) {
		std::string name = names + s.sh_name;
		if (name.rfind(text, 0) == 0) cubin->kernels.push_back(name.substr(text.size()));
	}
	return "";
}

} // namespace sim
