// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/armvisor: marks, the host's clocks and an end with a status, for programs.
 *
 *   echo begin NAME > /dev/armvisor     begins a mark; echo end NAME, or echo end for the one begun last, ends it
 *   echo exit N > /dev/armvisor         ends the machine at once; armvisor's status is 0 for 0, else 64 + N
 *   cat /dev/armvisor                   the host's clocks in nanoseconds
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>

#include "hypercalls.h"

#define NAME_LENGTH 16
#define LINE_LENGTH 64

static bool tables;
module_param(tables, bool, 0444);
MODULE_PARM_DESC(tables, "tell the hypervisor of translation tables");

static bool tables_started;
static char last_mark[NAME_LENGTH + 1];
static DEFINE_MUTEX(last_mark_mutex);

static int mark_call(u32 function, const char *name)
{
	union {
		char text[NAME_LENGTH];
		u32 words[4];
	} packed = {};
	struct arm_smccc_res res;

	if (strlen(name) > NAME_LENGTH)
		return -EINVAL;
	memcpy(packed.text, name, strlen(name));
	arm_smccc_1_1_hvc(function, le32_to_cpu(packed.words[0]), le32_to_cpu(packed.words[1]),
			  le32_to_cpu(packed.words[2]), le32_to_cpu(packed.words[3]), &res);
	switch ((long)res.a0) {
	case 0:
		return 0;
	case ARMVISOR_NO_ROOM:
		return -ENOSPC;
	case ARMVISOR_NOT_FOUND:
		return -ENOENT;
	default:
		return -EINVAL;
	}
}

static int command(char *line)
{
	struct arm_smccc_res res;
	char *word = strsep(&line, " ");
	char *argument = line ? strim(line) : "";
	u32 status;

	if (!strcmp(word, "begin")) {
		strscpy(last_mark, argument, sizeof(last_mark));
		return mark_call(ARMVISOR_MARK_BEGIN, argument);
	}
	if (!strcmp(word, "end"))
		return mark_call(ARMVISOR_MARK_END, *argument ? argument : last_mark);
	if (!strcmp(word, "exit")) {
		if (kstrtou32(argument, 10, &status))
			return -EINVAL;
		arm_smccc_1_1_hvc(ARMVISOR_EXIT, status, &res);
		return res.a0 ? -EINVAL : 0;
	}
	return -EINVAL;
}

static ssize_t armvisor_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	char line[LINE_LENGTH];
	int result;

	if (count == 0 || count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	line[count] = 0;
	mutex_lock(&last_mark_mutex);
	result = command(strim(line));
	mutex_unlock(&last_mark_mutex);
	return result ? result : count;
}

static ssize_t armvisor_read(struct file *file, char __user *to, size_t count, loff_t *at)
{
	char text[LINE_LENGTH * 2];
	struct arm_smccc_res now;
	int length;

	arm_smccc_1_1_hvc(ARMVISOR_CLOCK, &now);
	length = scnprintf(text, sizeof(text), "monotonic %llu\nrealtime %llu\n", (u64)now.a1 << 32 | now.a0,
			   (u64)now.a3 << 32 | now.a2);
	return simple_read_from_buffer(to, count, at, text, length);
}

static const struct file_operations armvisor_operations = {
	.owner = THIS_MODULE,
	.read = armvisor_read,
	.write = armvisor_write,
	.llseek = default_llseek,
};

static struct miscdevice armvisor_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "armvisor",
	.fops = &armvisor_operations,
	.mode = 0600,
};

static bool on_armvisor(void)
{
	struct arm_smccc_res uid;

	if (arm_smccc_1_1_get_conduit() != SMCCC_CONDUIT_HVC)
		return false;
	arm_smccc_1_1_hvc(ARMVISOR_UID, &uid);
	return uid.a0 == 0x766d7261 && uid.a1 == 0x724f7369 && uid.a2 == 0x5a2d1c8e && uid.a3 == 0xf4c3b790;
}

static int __init armvisor_init(void)
{
	struct arm_smccc_res features;
	int error;

	if (!on_armvisor())
		return -ENODEV;
	arm_smccc_1_1_hvc(ARMVISOR_FEATURES, &features);
	if (tables) {
		if (!(features.a1 & 1 << (ARMVISOR_PT_ALLOC & 31)))
			pr_warn("armvisor: hints about tables have no effect on this machine\n");
		error = armvisor_tables_start();
		if (error)
			return error;
		tables_started = true;
	}
	error = misc_register(&armvisor_device);
	if (error && tables_started)
		armvisor_tables_stop();
	return error;
}

static void __exit armvisor_exit(void)
{
	misc_deregister(&armvisor_device);
	if (tables_started)
		armvisor_tables_stop();
}

module_init(armvisor_init);
module_exit(armvisor_exit);
MODULE_DESCRIPTION("armvisor's hypercalls: marks, clocks, exit status, hints about translation tables");
MODULE_LICENSE("GPL");
