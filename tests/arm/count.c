/* Counts the instructions that an emulated program executes (QEMU's plugin interface, version 1). The declarations are
   written out here (docs/workarounds.md, "tests: debian ships no header for qemu plug-ins"). */
#include <inttypes.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct block;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block *, int operation, void *counter, uint64_t by);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern void qemu_plugin_outs(const char *);

#define EXPORT __attribute__((visibility("default")))
#define ADD_U64 0

EXPORT int qemu_plugin_version = 1;

static uint64_t instructions;

static void translated(plugin_id id, struct block *block)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &instructions, qemu_plugin_tb_n_insns(block));
}

static void ended(plugin_id id, void *data)
{
	char line[64];

	(void)id, (void)data;
	snprintf(line, sizeof line, "instructions %" PRIu64 "\n", instructions);
	qemu_plugin_outs(line);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info, (void)argc, (void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
