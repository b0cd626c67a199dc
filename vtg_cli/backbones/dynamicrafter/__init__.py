"""DynamiCrafter (Xing et al. 2024): keyframes and a prompt to video, its networks written anew."""
