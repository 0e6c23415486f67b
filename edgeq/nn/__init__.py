"""The PyTorch side: quantised layers, experts, routers, mixtures, training, the model file."""

from edgeq.extras import require

require("export", "edgeq.nn")

from edgeq.nn import activations
from edgeq.nn.act_quant import ActQuant
from edgeq.nn.activations import *  # noqa: F403  # a layer there needs no line here
from edgeq.nn.audio import MFCC, PCEN, LogMel
from edgeq.nn.backbones import conv_block, depthwise_separable, separable_block
from edgeq.nn.calibration import calibrate, calibrate_ptq, freeze_curiosity
from edgeq.nn.cascade import Cascade, Cascaded
from edgeq.nn.checkpoint import load, save
from edgeq.nn.combine import (
    cascaded,
    mixed,
    mixture_of,
    with_kind,
    with_norm_bounds,
    with_quantizer,
)
from edgeq.nn.config import build, config_of
from edgeq.nn.curious_file import CuriousQmoe, from_curious_qmoe
from edgeq.nn.data import Split, split
from edgeq.nn.distill import distill
from edgeq.nn.experts import paper_expert, paper_mixture
from edgeq.nn.graph_body import GraphBody, GraphLayer
from edgeq.nn.graph_model import graph_model
from edgeq.nn.layers import Conv1d, Conv2d, Linear, QuantLayer
from edgeq.nn.learned_widths import Learned, learn_widths
from edgeq.nn.loop import Epoch, History
from edgeq.nn.mixture import Mixture, Routing, TrunkMixture
from edgeq.nn.model import Model
from edgeq.nn.narrowed import narrowed
from edgeq.nn.norms import BatchNorm1d, BatchNorm2d, LayerNorm
from edgeq.nn.pooling import AvgPool2d, GlobalAvgPool, MaxPool2d
from edgeq.nn.post_training import quantize
from edgeq.nn.pruned import pruned
from edgeq.nn.recurrent import GRU, LSTM, MGU
from edgeq.nn.router import BayesianRouter, PlainRouter
from edgeq.nn.structure import (
    Delay,
    Dropout,
    Exit,
    Flatten,
    Inputs,
    Outputs,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Softmax,
)
from edgeq.nn.svdf import SVDF
from edgeq.nn.train import fit
from edgeq.nn.train_router import fit_router
from edgeq.nn.two_runs import in_two_runs
from edgeq.nn.weight_kinds import KINDS, WeightKind, quantize_weight, weight_kind

__all__ = [
    *activations.__all__,
    "GRU",
    "KINDS",
    "LSTM",
    "MFCC",
    "MGU",
    "PCEN",
    "SVDF",
    "ActQuant",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BayesianRouter",
    "Cascade",
    "Cascaded",
    "Conv1d",
    "Conv2d",
    "CuriousQmoe",
    "Delay",
    "Dropout",
    "Exit",
    "Epoch",
    "Flatten",
    "GlobalAvgPool",
    "GraphBody",
    "GraphLayer",
    "History",
    "Inputs",
    "LayerNorm",
    "Learned",
    "Linear",
    "LogMel",
    "MaxPool2d",
    "Mixture",
    "Model",
    "Outputs",
    "PlainRouter",
    "QuantLayer",
    "ReLU",
    "ReLU6",
    "Residual",
    "Routing",
    "Sequential",
    "Softmax",
    "Split",
    "TrunkMixture",
    "WeightKind",
    "build",
    "calibrate",
    "calibrate_ptq",
    "config_of",
    "conv_block",
    "depthwise_separable",
    "distill",
    "fit",
    "fit_router",
    "freeze_curiosity",
    "from_curious_qmoe",
    "graph_model",
    "in_two_runs",
    "learn_widths",
    "load",
    "cascaded",
    "mixed",
    "mixture_of",
    "narrowed",
    "paper_expert",
    "paper_mixture",
    "pruned",
    "quantize",
    "quantize_weight",
    "save",
    "separable_block",
    "split",
    "weight_kind",
    "with_kind",
    "with_norm_bounds",
    "with_quantizer",
]
