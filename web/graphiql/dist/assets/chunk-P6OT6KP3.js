import{a,b}from"./chunk-SI3Z3GJH.js";import"./chunk-FWDYR626.js";import"./chunk-YZRJD3FA.js";import"./chunk-5OSR2VMQ.js";export{b as getWorker,a as jsonDefaults};
