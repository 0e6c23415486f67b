"""Capstone's instructions by what they do, for the timing classes of decode.py."""

from capstone import CsInsn  # type: ignore[import-untyped]
from capstone import arm as a

LOADS = {
    a.ARM_INS_LDR, a.ARM_INS_LDRB, a.ARM_INS_LDRH, a.ARM_INS_LDRSB, a.ARM_INS_LDRSH,
    a.ARM_INS_LDRT, a.ARM_INS_LDRBT, a.ARM_INS_LDRHT, a.ARM_INS_LDRSBT, a.ARM_INS_LDRSHT,
    a.ARM_INS_LDREX, a.ARM_INS_LDREXB, a.ARM_INS_LDREXH,
}  # fmt: skip
STORES = {
    a.ARM_INS_STR, a.ARM_INS_STRB, a.ARM_INS_STRH, a.ARM_INS_STRT, a.ARM_INS_STRBT,
    a.ARM_INS_STRHT, a.ARM_INS_STREX, a.ARM_INS_STREXB, a.ARM_INS_STREXH,
}  # fmt: skip
LOAD_MANY = {a.ARM_INS_LDM, a.ARM_INS_LDMDB, a.ARM_INS_POP}
STORE_MANY = {a.ARM_INS_STM, a.ARM_INS_STMDB, a.ARM_INS_PUSH}
VFP_LOADS = {a.ARM_INS_VLDR, a.ARM_INS_VLDMIA, a.ARM_INS_VLDMDB, a.ARM_INS_VPOP}
VFP_STORES = {a.ARM_INS_VSTR, a.ARM_INS_VSTMIA, a.ARM_INS_VSTMDB, a.ARM_INS_VPUSH}
SINGLE_CLASS = (
    {a.ARM_INS_IT: "it", a.ARM_INS_LDRD: "ldrd", a.ARM_INS_STRD: "strd"}
    | dict.fromkeys((a.ARM_INS_SDIV, a.ARM_INS_UDIV), "div")
    | dict.fromkeys((a.ARM_INS_TBB, a.ARM_INS_TBH), "tb")
    | dict.fromkeys((a.ARM_INS_VDIV, a.ARM_INS_VSQRT), "vdiv")
    | dict.fromkeys(
        (a.ARM_INS_VMLA, a.ARM_INS_VMLS, a.ARM_INS_VNMLA, a.ARM_INS_VNMLS, a.ARM_INS_VFMA,
         a.ARM_INS_VFMS, a.ARM_INS_VFNMA, a.ARM_INS_VFNMS), "vmla",
    )
    | dict.fromkeys((a.ARM_INS_MLA, a.ARM_INS_MLS), "mla")
    | dict.fromkeys((a.ARM_INS_UMULL, a.ARM_INS_SMULL), "mul_l")
    | dict.fromkeys((a.ARM_INS_MRS, a.ARM_INS_MSR, a.ARM_INS_DMB, a.ARM_INS_DSB, a.ARM_INS_ISB),
                    "psr")
)  # fmt: skip
LONG_ACCUMULATE = {a.ARM_INS_UMLAL, a.ARM_INS_SMLAL, a.ARM_INS_UMAAL}
TAKEN_BY_ID = {
    a.ARM_INS_CBZ: "t_cbz", a.ARM_INS_CBNZ: "t_cbz", a.ARM_INS_BL: "t_bl", a.ARM_INS_BX: "t_bx",
    a.ARM_INS_BLX: "t_bx", a.ARM_INS_TBB: "t_tb", a.ARM_INS_TBH: "t_tb",
}  # fmt: skip


# Armv6-M Architecture Reference Manual (DDI 0419), A5.3: all its 32-bit encodings, and the 16-bit
# ones that came with Thumb-2
ARMV6M_WIDE = {
    a.ARM_INS_BL, a.ARM_INS_MRS, a.ARM_INS_MSR, a.ARM_INS_DMB, a.ARM_INS_DSB, a.ARM_INS_ISB,
}  # fmt: skip
# what a core may lack; the emulator's models have nearly all of it
THUMB2, DSP, DOUBLE, FPV5 = "thumb2", "dsp", "double", "fpv5"
GROUPS = {
    a.ARM_GRP_THUMB2DSP: DSP,
    a.ARM_GRP_T2EXTRACTPACK: DSP,
    a.ARM_GRP_DPVFP: DOUBLE,
    a.ARM_GRP_FPARMV8: FPV5,
}
THUMB2_NARROW = {a.ARM_INS_IT, a.ARM_INS_CBZ, a.ARM_INS_CBNZ}


def memory_operand(insn: CsInsn) -> a.ArmOpMem:
    """Where a load or store goes."""
    return next(operand.mem for operand in insn.operands if operand.type == a.ARM_OP_MEM)
