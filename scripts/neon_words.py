#!/usr/bin/env python3
# Copyright: the armvisor authors. Apache-2.0.
"""Writes tests/unit/neon_words.inc: for each Advanced SIMD operation of src/ir/vector_ops.inc the instruction words
that perform it, assembled by arm-linux-gnueabihf-as. Needed only when operations are added; the table is checked in.

Registers in every line: c (the destination) in q0, a in q1, b in q2; one-operand forms take a from q2; permutations
work in place on q0 (a) and q2 (b)."""
import re
import subprocess
import sys
import tempfile

LINES = []


def add(op, esize, q, imm, shape, text):
    LINES.append((op, esize, q, imm, shape, text))


def regs(q, *numbers):
    return ", ".join(f"{'q' if q else 'd'}{n if q else 2 * n}" for n in numbers)


def same(op, mnemonic, types, qs=(0, 1), shape="Binary"):
    for t in types:
        esize = int(re.search(r"\d+$", t).group()) if t else 64
        for q in qs:
            add(op, esize, q, 0, shape, f"{mnemonic}{'.' + t if t else ''} {regs(q, 0, 1, 2)}")


def unary(op, mnemonic, types, qs=(0, 1)):
    for t in types:
        esize = int(re.search(r"(\d+)$", t).group()) if t else 64
        for q in qs:
            add(op, esize, q, 0, "Unary", f"{mnemonic}{'.' + t if t else ''} {regs(q, 0, 2)}")


def sizes(prefix, *bits):
    return [f"{prefix}{b}" for b in bits]


def bitwise():
    for op, m in (("And", "vand"), ("Or", "vorr"), ("Xor", "veor"), ("AndNot", "vbic"), ("OrNot", "vorn"), ("Bsl", "vbsl"),
                  ("Bit", "vbit"), ("Bif", "vbif")):
        same(op, m, [""])
    unary("Not", "vmvn", [""])


def integer():
    same("Add", "vadd", sizes("i", 8, 16, 32, 64))
    same("Sub", "vsub", sizes("i", 8, 16, 32, 64))
    for op, m in (("Mul", "vmul"), ("Mla", "vmla"), ("Mls", "vmls")):
        same(op, m, sizes("i", 8, 16, 32))
    same("MulPoly", "vmul", ["p8"])
    for sign in "su":
        s = sign.upper()
        for op, m in (("HAdd", "vhadd"), ("RHAdd", "vrhadd"), ("HSub", "vhsub"), ("Max", "vmax"), ("Min", "vmin"),
                      ("Abd", "vabd"), ("CmpGt", "vcgt"), ("CmpGe", "vcge")):
            same(op + s, m, sizes(sign, 8, 16, 32))
        same("PMax" + s, "vpmax", sizes(sign, 8, 16, 32), (0,))
        same("PMin" + s, "vpmin", sizes(sign, 8, 16, 32), (0,))
        same("QAdd" + s, "vqadd", sizes(sign, 8, 16, 32, 64))
        same("QSub" + s, "vqsub", sizes(sign, 8, 16, 32, 64))
        unary("PAddL" + s, "vpaddl", sizes(sign, 8, 16, 32))
        for op, m in (("ShlReg", "vshl"), ("RShlReg", "vrshl"), ("QShlReg", "vqshl"), ("QRShlReg", "vqrshl")):
            for t in sizes(sign, 8, 16, 32, 64):
                for q in (0, 1):  # the assembler's order is value, amount
                    add(op + s, int(t[1:]), q, 0, "Binary", f"{m}.{t} {regs(q, 0, 1, 2)}")
    same("CmpEq", "vceq", sizes("i", 8, 16, 32))
    same("Tst", "vtst", sizes("", 8, 16, 32))
    same("PAdd", "vpadd", sizes("i", 8, 16, 32), (0,))
    same("QDMulH", "vqdmulh", sizes("s", 16, 32))
    same("QRDMulH", "vqrdmulh", sizes("s", 16, 32))
    unary("Abs", "vabs", sizes("s", 8, 16, 32))
    unary("Neg", "vneg", sizes("s", 8, 16, 32))
    unary("QAbs", "vqabs", sizes("s", 8, 16, 32))
    unary("QNeg", "vqneg", sizes("s", 8, 16, 32))
    unary("Cls", "vcls", sizes("s", 8, 16, 32))
    unary("Clz", "vclz", sizes("i", 8, 16, 32))
    unary("Cnt", "vcnt", ["8"])
    unary("Rev16", "vrev16", ["8"])
    unary("Rev32", "vrev32", ["8", "16"])
    unary("Rev64", "vrev64", ["8", "16", "32"])


def shifts():
    def rows(op, mnemonic, prefix, esizes, left, qs=(0, 1)):
        for e in esizes:
            amounts = (0, 1, e // 2 + 1, e - 1) if left else (1, 2, e // 2 + 1, e)
            for n in amounts:
                for q in qs:
                    add(op, e, q, n, "Unary", f"{mnemonic}.{prefix}{e} {regs(q, 0, 2)}, #{n}")
    every = (8, 16, 32, 64)
    rows("ShlImm", "vshl", "i", every, True)
    rows("Sli", "vsli", "", every, True)
    rows("Sri", "vsri", "", every, False)
    for sign in "su":
        rows("ShrImm" + sign.upper(), "vshr", sign, every, False)
        rows("RShrImm" + sign.upper(), "vrshr", sign, every, False)
        rows("QShlImm" + sign.upper(), "vqshl", sign, every, True)
    rows("QShlImmSU", "vqshlu", "s", every, True)


def narrow_and_widen():
    for e in (16, 32, 64):
        add("MovN", e, 1, 0, "Narrow", f"vmovn.i{e} d0, q2")
        add("QMovNS", e, 1, 0, "Narrow", f"vqmovn.s{e} d0, q2")
        add("QMovNU", e, 1, 0, "Narrow", f"vqmovn.u{e} d0, q2")
        add("QMovUN", e, 1, 0, "Narrow", f"vqmovun.s{e} d0, q2")
        for n in (1, 2, e // 2):
            for op, m in (("ShrN", "vshrn.i"), ("RShrN", "vrshrn.i"), ("QShrNS", "vqshrn.s"), ("QShrNU", "vqshrn.u"),
                          ("QShrUN", "vqshrun.s"), ("QRShrNS", "vqrshrn.s"), ("QRShrNU", "vqrshrn.u"),
                          ("QRShrUN", "vqrshrun.s")):
                add(op, e, 1, n, "Narrow", f"{m}{e} d0, q2, #{n}")
        for op, m in (("AddHN", "vaddhn"), ("RAddHN", "vraddhn"), ("SubHN", "vsubhn"), ("RSubHN", "vrsubhn")):
            add(op, e, 1, 0, "NarrowBinary", f"{m}.i{e} d0, q1, q2")
    for sign in "su":
        s = sign.upper()
        for e in (8, 16, 32):
            add("MovL" + s, e, 0, 0, "Widen", f"vmovl.{sign}{e} q0, d4")
            for n in (1, e // 2, e - 1):
                add("ShlL" + s, e, 0, n, "Widen", f"vshll.{sign}{e} q0, d4, #{n}")
            for op, m in (("AddL", "vaddl"), ("SubL", "vsubl"), ("AbdL", "vabdl"), ("MulL", "vmull")):
                add(op + s, e, 0, 0, "WidenBinary", f"{m}.{sign}{e} q0, d2, d4")
            add("AddW" + s, e, 0, 0, "WidenBinary", f"vaddw.{sign}{e} q0, q1, d4")
            add("SubW" + s, e, 0, 0, "WidenBinary", f"vsubw.{sign}{e} q0, q1, d4")
    for e in (8, 16, 32):
        add("ShlLU", e, 0, e, "Widen", f"vshll.i{e} q0, d4, #{e}")
    add("MulLPoly", 8, 0, 0, "WidenBinary", "vmull.p8 q0, d2, d4")
    for e in (16, 32):
        add("QDMulL", e, 0, 0, "WidenBinary", f"vqdmull.s{e} q0, d2, d4")


def permutations():
    for op, m in (("Trn", "vtrn"), ("Uzp", "vuzp"), ("Zip", "vzip")):
        for q in (0, 1):
            for e in (8, 16, 32):
                if m != "vtrn" and e == 32 and not q:
                    continue  # pseudo-instructions: VTRN.32
                for k in (1, 2):
                    add(f"{op}{k}", e, q, 0, f"Permute{k}", f"{m}.{e} {regs(q, 0, 2)}")
    for q in (0, 1):
        for n in range(0, 16 if q else 8):
            add("Ext", 8, q, n, "Binary", f"vext.8 {regs(q, 0, 1, 2)}, #{n}")
    for n in range(1, 5):
        table = ", ".join(f"d{2 + k}" for k in range(n))
        add("Tbl", 8, 0, n, "Table", f"vtbl.8 d0, {{{table}}}, d6")
        add("Tbl", 8, 0, n | 0x100, "Table", f"vtbx.8 d0, {{{table}}}, d6")


def floating():
    for op, m in (("FAdd", "vadd"), ("FSub", "vsub"), ("FMul", "vmul"), ("FAbd", "vabd"), ("FMax", "vmax"), ("FMin", "vmin"),
                  ("FMla", "vmla"), ("FMls", "vmls"), ("FFma", "vfma"), ("FFms", "vfms"), ("FCmpEq", "vceq"),
                  ("FCmpGe", "vcge"), ("FCmpGt", "vcgt"), ("FAbsCmpGe", "vacge"), ("FAbsCmpGt", "vacgt"),
                  ("FRecps", "vrecps"), ("FRsqrts", "vrsqrts")):
        same(op, m, ["f32"], shape="Float")
    for op, m in (("FPAdd", "vpadd"), ("FPMax", "vpmax"), ("FPMin", "vpmin")):
        same(op, m, ["f32"], (0,), "Float")
    for op, m, t in (("FRecpe", "vrecpe", "f32"), ("FRsqrte", "vrsqrte", "f32"), ("FAbs", "vabs", "f32"), ("FNeg", "vneg", "f32")):
        for q in (0, 1):
            add(op, 32, q, 0, "FloatUnary", f"{m}.{t} {regs(q, 0, 2)}")
    unary("URecpe", "vrecpe", ["u32"])
    unary("URsqrte", "vrsqrte", ["u32"])
    for n in (0, 1, 16, 32):
        suffix = f", #{n}" if n else ""
        for q in (0, 1):
            add("FToS", 32, q, n, "FloatUnary", f"vcvt.s32.f32 {regs(q, 0, 2)}{suffix}")
            add("FToU", 32, q, n, "FloatUnary", f"vcvt.u32.f32 {regs(q, 0, 2)}{suffix}")
            add("SToF", 32, q, n, "Unary", f"vcvt.f32.s32 {regs(q, 0, 2)}{suffix}")
            add("UToF", 32, q, n, "Unary", f"vcvt.f32.u32 {regs(q, 0, 2)}{suffix}")
    add("FNarrow16", 32, 1, 0, "FloatNarrow", "vcvt.f16.f32 d0, q2")
    add("FWiden16", 16, 0, 0, "Widen", "vcvt.f32.f16 q0, d4")


def assemble():
    source = ".syntax unified\n.fpu neon-vfpv4\n.arm\n" + "".join(f"{line[5]}\n" for line in LINES)
    with tempfile.TemporaryDirectory() as d:
        open(f"{d}/a.s", "w").write(source)
        subprocess.run(["arm-linux-gnueabihf-as", "-march=armv7-a", "-o", f"{d}/a.o", f"{d}/a.s"], check=True)
        subprocess.run(["arm-linux-gnueabihf-objcopy", "-O", "binary", "-j", ".text", f"{d}/a.o", f"{d}/a.bin"], check=True)
        data = open(f"{d}/a.bin", "rb").read()
    assert len(data) == 4 * len(LINES), (len(data), len(LINES))
    return [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]


def main():
    for part in (bitwise, integer, shifts, narrow_and_widen, permutations, floating):
        part()
    out = ["// Made by scripts/neon_words.py. NEON(operation, log2 of element size, Q, immediate, shape, word, syntax)\n"]
    for (op, esize, q, imm, shape, text), word in zip(LINES, assemble()):
        out.append(f'NEON({op}, {esize.bit_length() - 1}, {q}, {imm}, {shape}, 0x{word:08x}, "{text}")\n')
    open(sys.argv[1] if len(sys.argv) > 1 else "tests/unit/neon_words.inc", "w").writelines(out)


if __name__ == "__main__":
    main()
